-- What views need to know of the rules file besides events: when communities answer, and the figures' adjustable parts.
-- A few rows each, rewritten whole when the file changes: not partitioned.
-- Codecs: ZSTD(1) for ids; numbers of a few rows need none.

-- Spans of local minutes of a weekday (Monday is 1) in which a community is served.
CREATE TABLE IF NOT EXISTS qunpulse_store.service_hours
(
    community_id String CODEC(ZSTD(1)),
    weekday UInt8,
    start_minute UInt16,
    end_minute UInt16,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (community_id, weekday, start_minute)
COMMENT 'Service hours by the rules file; not partitioned because there are a few rows a community, ordered by community';

CREATE TABLE IF NOT EXISTS qunpulse_store.definitions
(
    name LowCardinality(String),
    value Int64,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY name
COMMENT 'Adjustable parts of definitions by the rules file; not partitioned because rows are few, ordered by name because one is looked up';
