-- Alerts, what was told to whom, and what people said about it.

-- One row an episode, replaced with every change. Not partitioned: an episode's copies must meet, and no time of it is
-- part of its name. Ordered by community first, because that is what people ask for, then by the episode's id, which
-- names kind, subject and fact. ZSTD for the texts: reasons of one kind are alike.
-- Codecs: ZSTD(1) for ids and texts, ZSTD(3) for alerts as they were sent, documents that are alike; Delta for times;
-- T64 for revisions, which are small; words are dictionaries.
CREATE TABLE IF NOT EXISTS qunpulse_store.alerts
(
    alert_id String CODEC(ZSTD(1)),
    revision UInt32 CODEC(T64, ZSTD(1)),
    kind LowCardinality(String),
    community_id String CODEC(ZSTD(1)),
    member_id String CODEC(ZSTD(1)),
    platform LowCardinality(String),
    feed LowCardinality(String),
    assignee LowCardinality(String),
    state LowCardinality(String),
    severity LowCardinality(String),
    opened_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    updated_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    resolved_at Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    reason String CODEC(ZSTD(1)),
    evidence String DEFAULT '{}' CODEC(ZSTD(1)),
    suggested_action String CODEC(ZSTD(1)),
    value_at_risk Float64 CODEC(ZSTD(1)),
    urgency LowCardinality(String),
    replay UInt8,
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (community_id, alert_id)
COMMENT 'Alert episodes as of now; not partitioned because no time names an episode and its copies must meet, ordered by community and id';

-- One row for each alert, state and channel: what is owed, what was tried, what was acknowledged. Written by the
-- delivery agent alone, which reads what it still owes from here after a restart. Not partitioned, so that copies meet;
-- ordered by what must never be told twice, by community first like alerts. `alert` holds the record while it is owed
-- and nothing afterwards: of what was told only the ids stay. `version` counts writes; that of an acknowledged row is
-- above all others, so that it is never unsaid.
CREATE TABLE IF NOT EXISTS qunpulse_store.alert_deliveries
(
    alert_id String CODEC(ZSTD(1)),
    state LowCardinality(String),
    channel LowCardinality(String),
    kind LowCardinality(String),
    community_id String CODEC(ZSTD(1)),
    member_id String CODEC(ZSTD(1)),
    assignee LowCardinality(String),
    outcome LowCardinality(String),
    form LowCardinality(String),
    planned_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    due_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    attempts UInt32 CODEC(T64, ZSTD(1)),
    attempted_at Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    delivered_at Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    error String CODEC(ZSTD(1)),
    message_id String CODEC(ZSTD(1)),
    alert String CODEC(ZSTD(3)),
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (community_id, alert_id, state, channel)
COMMENT 'Deliveries of alerts; not partitioned so that copies meet whenever they were written, ordered by what must not be told twice';

-- What people said of an alert; each person has one verdict on it, the latest. Ordered like alerts, with which it is
-- joined, and not partitioned, because there are few.
CREATE TABLE IF NOT EXISTS qunpulse_store.alert_verdicts
(
    alert_id String CODEC(ZSTD(1)),
    kind LowCardinality(String),
    community_id String CODEC(ZSTD(1)),
    verdict LowCardinality(String),
    reason String CODEC(ZSTD(1)),
    issued_by String CODEC(ZSTD(1)),
    issued_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (community_id, alert_id, issued_by)
COMMENT 'Verdicts on alerts; not partitioned because there are few, ordered like alerts, with which they are joined';

-- What is silenced until when. One row for each subject ever muted: not partitioned because there are few.
CREATE TABLE IF NOT EXISTS qunpulse_store.alert_mutes
(
    mute_id String CODEC(ZSTD(1)),
    community_id String CODEC(ZSTD(1)),
    member_id String CODEC(ZSTD(1)),
    kind LowCardinality(String),
    until DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    reason String CODEC(ZSTD(1)),
    issued_by String CODEC(ZSTD(1)),
    issued_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    lifted UInt8,
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (community_id, mute_id)
COMMENT 'Mutes; not partitioned because there are few, ordered by community, of which all are asked for together';
