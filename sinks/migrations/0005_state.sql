-- What a worker needs to go on: state rows of every operator, and who may write them.

-- One partition of the table per Kafka partition: a worker restores and writes exactly one of them, and a
-- block that goes into one partition is atomic, which is what a checkpoint rests on. No materialized view may
-- ever be attached to this table: it would be a second write that can fail alone.
-- Ordered by operator and key: a restore reads everything, and copies of a key lie together for merges.
-- Codecs: ZSTD(1) on key and payload halves what a restore reads from disk; T64 crops the high bits that
-- expiries share; the rest is nearly constant.
-- deleted is a mark and not ReplacingMergeTree's second argument: rows leave by sinks.state.delete_expired,
-- all copies of a key together, so that no older copy can come back.
CREATE TABLE IF NOT EXISTS qunpulse_store.state
(
    partition UInt16,
    operator LowCardinality(String),
    key String CODEC(ZSTD(1)),
    payload String CODEC(ZSTD(1)),
    expires_at Int64 CODEC(T64, ZSTD(1)),
    deleted UInt8 CODEC(ZSTD(1)),
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY partition
ORDER BY (partition, operator, key)
COMMENT 'Checkpointed state; one partition per Kafka partition because an insert into one is atomic, ordered by operator and key so that copies meet in merges';

-- Every claim ever made on a Kafka partition; the largest (claim, owner) may write. Rows are few (a handful
-- per rebalance) and every state insert looks at them: not partitioned, ordered so that one partition's
-- claims are one granule.
CREATE TABLE IF NOT EXISTS qunpulse_store.claims
(
    partition UInt16,
    claim UInt32,
    owner UUID,
    worker String,
    claimed_at DateTime64(3, 'UTC'),
    released UInt8,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (partition, claim, owner)
COMMENT 'Who owns each Kafka partition; not partitioned because rows are few, ordered so that the newest claim of a partition is found in one granule';
