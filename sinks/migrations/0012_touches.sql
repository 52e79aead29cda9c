-- What members were told next, or would have been: a row per occasion, written once. Not partitioned: a member gets few.
-- Ordered by community and kind, because effects are asked for so, then by id.
-- Codecs: Delta for times of one kind, which lie close together; ZSTD(1) for ids; words are dictionaries.
CREATE TABLE IF NOT EXISTS qunpulse_store.touches
(
    community_id String CODEC(ZSTD(1)),
    kind LowCardinality(String),
    touch_id String CODEC(ZSTD(1)),
    member_id String CODEC(ZSTD(1)),
    occasion_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    due_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    decided_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    held_out UInt8,
    -- 1 when history was replayed: decided as it would have been, sent to nobody
    replay UInt8,
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (community_id, kind, touch_id)
COMMENT 'Touches of members; not partitioned because copies of a touch must meet and they are few, ordered by community and kind because effects are asked for so';
