-- What people say and no event tells, as the business views need it. All of it is small and rewritten whole when the
-- file changed, so nothing is partitioned; versions are the time of writing, and rows of an earlier file are deleted.
-- Codecs: ZSTD(1) for ids and texts, whatever they are: tables this small leave nothing to gain from others.

-- Accounts of one person on several platforms, loaded from a file by `qunpulse identities import`.
CREATE TABLE IF NOT EXISTS qunpulse_store.identities
(
    platform LowCardinality(String),
    member_id String CODEC(ZSTD(1)),
    person_id String CODEC(ZSTD(1)),
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (platform, member_id)
COMMENT 'Accounts and the persons behind them; not partitioned because it is loaded whole, ordered by account because accounts are looked up';

-- How far local time is from UTC, for the zones in use: ClickHouse's own time zone functions take a constant zone only,
-- and communities have one each. An offset holds from its start until the next one of its zone.
CREATE TABLE IF NOT EXISTS qunpulse_store.timezone_offsets
(
    timezone LowCardinality(String),
    starts_at DateTime('UTC'),
    offset_seconds Int32,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (timezone, starts_at)
COMMENT 'UTC offsets of the time zones in use; not partitioned because rows are few (two a zone and year), ordered by zone and start because the latest start decides';

-- Campaigns of the rules file: what they cost and what they were to bring.
CREATE TABLE IF NOT EXISTS qunpulse_store.campaign_rules
(
    campaign_id String CODEC(ZSTD(1)),
    name String CODEC(ZSTD(1)),
    cost_minor Nullable(Int64),
    currency LowCardinality(String),
    -- figure of view campaigns that the goal is about, empty without a goal
    goal_figure LowCardinality(String),
    goal Nullable(Float64),
    attribution_days UInt16,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY campaign_id
COMMENT 'Campaigns as the rules file describes them; not partitioned because there is one row each';

-- Flash sales, topic evenings, offline events: a span of time in some communities, one row for each of them.
CREATE TABLE IF NOT EXISTS qunpulse_store.event_spans
(
    community_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    name String CODEC(ZSTD(1)),
    kind LowCardinality(String),
    starts_at DateTime('UTC'),
    ends_at DateTime('UTC'),
    cost_minor Nullable(Int64),
    currency LowCardinality(String),
    goal_figure LowCardinality(String),
    goal Nullable(Float64),
    attribution_days UInt16,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (community_id, span_id)
COMMENT 'Events of the rules file, a row per community that took part; not partitioned because they are few, ordered by community because questions name one';
