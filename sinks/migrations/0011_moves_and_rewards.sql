-- What the rules file says of moving members between groups and of rewards for points. A few rows each, rewritten whole
-- when the file changes: not partitioned.
-- Codecs: ZSTD(1) for texts and lists of them; numbers of a few rows need none.

-- Who should be in a group of which type; empty lists stand for anything.
CREATE TABLE IF NOT EXISTS qunpulse_store.move_rules
(
    number UInt16,
    to_type String CODEC(ZSTD(1)),
    stages Array(String) CODEC(ZSTD(1)),
    buyer_stages Array(String) CODEC(ZSTD(1)),
    tiers Array(String) CODEC(ZSTD(1)),
    value_tiers Array(String) CODEC(ZSTD(1)),
    reason String CODEC(ZSTD(1)),
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY number
COMMENT 'Rules for moving members between groups; not partitioned because rows are few, ordered by number because the first that fits counts';

-- What a reward costs in points.
CREATE TABLE IF NOT EXISTS qunpulse_store.point_rewards
(
    object_id String CODEC(ZSTD(1)),
    points UInt32,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY object_id
COMMENT 'Rewards and their prices in points; not partitioned because rows are few, ordered by reward because one is looked up';
