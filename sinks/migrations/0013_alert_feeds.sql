-- Feeds as alerts see them: a row per feed and Kafka partition, since each partition hears its own part.
-- Not partitioned and small: a deployment has a handful of feeds.
CREATE TABLE IF NOT EXISTS qunpulse_store.alert_feeds
(
    feed LowCardinality(String),
    partition UInt16,
    platform LowCardinality(String),
    last_heard_at DateTime64(3, 'UTC'),
    longest_gap_seconds UInt32,
    silent_since Nullable(DateTime64(3, 'UTC')),
    communities UInt32,
    asks_questions UInt8,
    says_replies UInt8,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (feed, partition)
COMMENT 'Feeds as alerts see them; not partitioned because rows are few, ordered by feed because they are summed up by it';
