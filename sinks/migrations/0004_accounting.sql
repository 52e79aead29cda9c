-- Where every record went.

-- Refused records with their original bytes. Not partitioned by received_at: that is when a worker looked at
-- the record, so the copy after a crash may carry another time and must still replace this one. Ordered by
-- the record's place in Kafka, which is what names it. ZSTD(3) for the bytes: written once, hardly ever read.
-- Codecs: Delta for offsets and times, which rise along the key; ZSTD(1) for ids and details, alike in a broken feed.
CREATE TABLE IF NOT EXISTS qunpulse_store.dead_letters
(
    topic LowCardinality(String),
    partition UInt16,
    offset Int64 CODEC(Delta(8), ZSTD(1)),
    error LowCardinality(String),
    detail String CODEC(ZSTD(1)),
    received_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    key String CODEC(ZSTD(1)),
    value String CODEC(ZSTD(3)),
    event_time Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    worker_version LowCardinality(String),
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (topic, partition, offset)
COMMENT 'Refused records; not partitioned so that copies meet whenever they were written, ordered by their place in Kafka';

-- Counters since the beginning, one row per topic and Kafka partition: tiny, rewritten with every checkpoint.
CREATE TABLE IF NOT EXISTS qunpulse_store.accounting
(
    topic LowCardinality(String),
    partition UInt16,
    consumed UInt64,
    applied UInt64,
    duplicate UInt64,
    late UInt64,
    dead_lettered UInt64,
    misrouted UInt64,
    next_offset Int64,
    event_clock Nullable(DateTime64(3, 'UTC')),
    checkpoint_at DateTime64(3, 'UTC'),
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (topic, partition)
COMMENT 'Cumulative counters of every checkpoint; not partitioned because there is one row per topic and Kafka partition';
