-- Referrals: who brought whom, who earned what, and what it brought in.
-- All rows are absolute and rewritten whole when they change. None of these tables is partitioned: no time is part of
-- a key (a late edge may move any row), and the copies of a row must meet. All are ordered by campaign first, because
-- every question names one.
-- Codecs: ZSTD(1) for ids, which stand in several columns and rows of one campaign; T64 crops the many zero bits of
-- small counts; Delta for times; words are dictionaries.

-- A row per member of a campaign's forest. Counts of the whole subtree leave the member itself out.
CREATE TABLE IF NOT EXISTS qunpulse_store.referral_nodes
(
    campaign_id String CODEC(ZSTD(1)),
    member_id String CODEC(ZSTD(1)),
    parent_id String CODEC(ZSTD(1)),
    root_id String CODEC(ZSTD(1)),
    depth UInt32 CODEC(T64, ZSTD(1)),
    direct UInt32 CODEC(T64, ZSTD(1)),
    descendants UInt32 CODEC(T64, ZSTD(1)),
    -- pending, matured, reversed or rejected: the credit of the edge from the parent; empty without a parent
    credit_state LowCardinality(String),
    matured_direct UInt32 CODEC(T64, ZSTD(1)),
    matured_descendants UInt32 CODEC(T64, ZSTD(1)),
    reversed_direct UInt32 CODEC(T64, ZSTD(1)),
    reversed_descendants UInt32 CODEC(T64, ZSTD(1)),
    -- 1 when it referred as staff: leaderboards keep it apart
    staff UInt8,
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (campaign_id, member_id)
COMMENT 'Members of referral forests as of now; not partitioned because no time is part of the key, ordered by campaign because every question names one';

-- A row per edge, linked or rejected; none is ever dropped, since a late edge may free a rejected one.
-- Ordered by referee, because the edges of a referee decide among themselves who its parent is.
CREATE TABLE IF NOT EXISTS qunpulse_store.referral_edges
(
    campaign_id String CODEC(ZSTD(1)),
    -- origin/community_id/event_id, with % and / of the ids escaped as %25 and %2F
    edge_id String CODEC(ZSTD(1)),
    event_id String CODEC(ZSTD(1)),
    referrer_id String CODEC(ZSTD(1)),
    referee_id String CODEC(ZSTD(1)),
    community_id String CODEC(ZSTD(1)),
    occurred_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    origin LowCardinality(String),
    via LowCardinality(String),
    source String CODEC(ZSTD(1)),
    -- linked or rejected; the reason is empty, self_referral, duplicate_parent or cycle
    state LowCardinality(String),
    reason LowCardinality(String),
    -- 1 when the referrer was staff in this community at that time
    staff UInt8,
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (campaign_id, referee_id, edge_id)
COMMENT 'Edges of referral forests with their verdicts; not partitioned because a verdict may change at any age, ordered by referee because its edges compete';

-- A row per transition of an edge's credit. Each transition happens once, so its state is part of the key and its time
-- is not: an earlier time of leaving replaces the later one. What a late edge or event undoes is withdrawn (1), which
-- hides the row from the view; a delete would need the version of the row it deletes.
CREATE TABLE IF NOT EXISTS qunpulse_store.referral_credits
(
    campaign_id String CODEC(ZSTD(1)),
    referee_id String CODEC(ZSTD(1)),
    edge_id String CODEC(ZSTD(1)),
    state LowCardinality(String),
    changed_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    referrer_id String CODEC(ZSTD(1)),
    community_id String CODEC(ZSTD(1)),
    reason LowCardinality(String),
    withdrawn UInt8,
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (campaign_id, referee_id, edge_id, state)
COMMENT 'Ledger of credits, a row per transition; not partitioned because the time of a transition may change, ordered by referee whose credit it is';

-- A row per member and currency with money of its own or below it. The subtree leaves the member itself out.
CREATE TABLE IF NOT EXISTS qunpulse_store.referral_revenue
(
    campaign_id String CODEC(ZSTD(1)),
    member_id String CODEC(ZSTD(1)),
    currency LowCardinality(String),
    own_orders UInt64 CODEC(T64, ZSTD(1)),
    own_paid_minor Int64 CODEC(T64, ZSTD(1)),
    own_refunded_minor Int64 CODEC(T64, ZSTD(1)),
    subtree_orders UInt64 CODEC(T64, ZSTD(1)),
    subtree_paid_minor Int64 CODEC(T64, ZSTD(1)),
    subtree_refunded_minor Int64 CODEC(T64, ZSTD(1)),
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (campaign_id, member_id, currency)
COMMENT 'Money of referral forests per currency; not partitioned because no time is part of the key, ordered like referral_nodes, with which it is joined';

-- A row per campaign target and the member or group that may reach it.
CREATE TABLE IF NOT EXISTS qunpulse_store.milestones
(
    campaign_id String CODEC(ZSTD(1)),
    subject_kind LowCardinality(String),
    subject_id String CODEC(ZSTD(1)),
    target LowCardinality(String),
    opened_at DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    reached_at Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    revoked_at Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    deadline_at Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    count UInt32 CODEC(T64, ZSTD(1)),
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (campaign_id, subject_kind, subject_id, target)
COMMENT 'Targets of campaigns, opened, reached and taken back; not partitioned because no time is part of the key, ordered by campaign because that is asked for';
