-- Events as they came in, one row per (community, topic, event id).
--
-- Partitioned by year of event time: a backlog of history touches few partitions per insert (many small
-- parts are what makes ClickHouse slow), and the year is part of the key, so copies of an event always meet.
-- Ordered by community, type and time: every question is about some communities and a span, and ids of
-- neighbouring rows compress well. event_id is last and makes the key unique.
-- version: an applied copy (2) wins over a late one (1), whichever was written last.
-- Codecs: Delta for times that rise along the key; ZSTD(1) for ids and sparse columns; words are dictionaries.
CREATE TABLE IF NOT EXISTS qunpulse_store.events
(
    event_id String CODEC(ZSTD(1)),
    event_type LowCardinality(String),
    occurred_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    community_id String CODEC(ZSTD(1)),
    platform LowCardinality(String),
    feed LowCardinality(String),
    member_id String CODEC(ZSTD(1)),
    -- message
    sender_role LowCardinality(String),
    kind LowCardinality(String),
    kind_raw LowCardinality(String),
    char_count UInt32 CODEC(ZSTD(1)),
    mentions UInt32 CODEC(ZSTD(1)),
    reply_to String CODEC(ZSTD(1)),
    reply_to_member_id String CODEC(ZSTD(1)),
    is_question Nullable(Bool) CODEC(ZSTD(1)),
    is_promotion Bool CODEC(ZSTD(1)),
    labels Array(String) CODEC(ZSTD(1)),
    object_id String CODEC(ZSTD(1)),
    value Nullable(Float64) CODEC(ZSTD(1)),
    campaign_id String CODEC(ZSTD(1)),
    -- join
    action LowCardinality(String),
    role LowCardinality(String),
    via LowCardinality(String),
    via_raw LowCardinality(String),
    inviter_id String CODEC(ZSTD(1)),
    source String CODEC(ZSTD(1)),
    roster_version_before String CODEC(ZSTD(1)),
    roster_version_after String CODEC(ZSTD(1)),
    snapshot_id String CODEC(ZSTD(1)),
    snapshot_size Nullable(UInt32) CODEC(ZSTD(1)),
    joined_at Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    -- order
    order_id String CODEC(ZSTD(1)),
    status LowCardinality(String),
    original_order_id String CODEC(ZSTD(1)),
    amount_minor Int64 CODEC(ZSTD(1)),
    currency LowCardinality(String),
    coupon_codes Array(String) CODEC(ZSTD(1)),
    discount_minor Nullable(Int64) CODEC(ZSTD(1)),
    group_buy_id String CODEC(ZSTD(1)),
    staff_id String CODEC(ZSTD(1)),
    items Array(Tuple(sku String, category String, quantity UInt32, amount_minor Int64)) CODEC(ZSTD(1)),
    -- referral
    referrer_id String CODEC(ZSTD(1)),
    referee_id String CODEC(ZSTD(1)),
    -- how it was taken in
    late UInt8 CODEC(ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(occurred_at)
ORDER BY (community_id, event_type, occurred_at, event_id)
COMMENT 'Events, applied and late; partitioned by year so that history lands in few parts, ordered by community, type and time because every question is';
