-- Members, their days, and money.

-- Partitioned by year of the day: backlogs land in few parts, and the day is part of the key (copies meet
-- within a partition). Ordered by community and day, then member: questions ask for a community and a span,
-- and rolling windows read them in that order.
-- Codecs: DoubleDelta for days that rise along the key, T64 for small counts, Delta for times of a day; ZSTD(1) after
-- them, and alone for ids and for what is mostly empty.
CREATE TABLE IF NOT EXISTS qunpulse_store.member_days
(
    community_id String CODEC(ZSTD(1)),
    day DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    local_date Date CODEC(DoubleDelta, ZSTD(1)),
    member_id String CODEC(ZSTD(1)),
    messages UInt32 CODEC(T64, ZSTD(1)),
    interactions UInt32 CODEC(T64, ZSTD(1)),
    orders UInt32 CODEC(T64, ZSTD(1)),
    refunds UInt32 CODEC(T64, ZSTD(1)),
    first_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    last_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(day)
ORDER BY (community_id, day, member_id)
COMMENT 'What each member did on each local day; partitioned by year so that backlogs land in few parts and FINAL stays within a partition, ordered by community and day because questions ask for spans';

-- A row per community, local day and currency. Partitioned and ordered like activity_1d, with which it is joined.
CREATE TABLE IF NOT EXISTS qunpulse_store.revenue_1d
(
    community_id String CODEC(ZSTD(1)),
    window_start DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    local_date Date CODEC(DoubleDelta, ZSTD(1)),
    currency LowCardinality(String),
    orders UInt32 CODEC(T64, ZSTD(1)),
    refunds UInt32 CODEC(T64, ZSTD(1)),
    gmv_minor Int64 CODEC(T64, ZSTD(1)),
    refunded_minor Int64 CODEC(T64, ZSTD(1)),
    buyers UInt32 CODEC(T64, ZSTD(1)),
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(window_start)
ORDER BY (community_id, window_start, currency)
COMMENT 'Money of local days per currency; partitioned by year and ordered like activity_1d, with which it is joined';

-- The member as of now, rewritten with every flush that touched it. No partition: a member's copies must
-- meet whatever their times, and no time column is part of the key. Ordered by community, then member.
CREATE TABLE IF NOT EXISTS qunpulse_store.members
(
    community_id String CODEC(ZSTD(1)),
    member_id String CODEC(ZSTD(1)),
    status LowCardinality(String),
    role LowCardinality(String),
    first_seen_at DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    last_seen_at Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    joined_at Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    left_at Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    messages UInt32 CODEC(T64, ZSTD(1)),
    interactions UInt32 CODEC(T64, ZSTD(1)),
    orders UInt32 CODEC(T64, ZSTD(1)),
    referrals UInt32 CODEC(T64, ZSTD(1)),
    active_days_30 UInt8 CODEC(ZSTD(1)),
    typical_gap_days Nullable(Float32) CODEC(ZSTD(1)),
    tier LowCardinality(String) DEFAULT 'ordinary',
    -- purchase history (x, t_x, T, monetary) as the modified BG/NBD model takes it
    x UInt32 CODEC(T64, ZSTD(1)),
    t_x_days Float32 CODEC(ZSTD(1)),
    t_days Float32 CODEC(ZSTD(1)),
    monetary_minor Int64 CODEC(T64, ZSTD(1)),
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (community_id, member_id)
COMMENT 'Members as of now; not partitioned because no time is part of the key and copies of a member must meet, ordered by community';

-- One row a community: what the worker knows, and what the rules file says. Apart, since they change apart.
CREATE TABLE IF NOT EXISTS qunpulse_store.communities
(
    community_id String CODEC(ZSTD(1)),
    timezone LowCardinality(String),
    members UInt32 CODEC(T64, ZSTD(1)),
    resync_needed UInt8,
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY community_id
COMMENT 'Communities as the worker knows them; not partitioned because there is one row each';

CREATE TABLE IF NOT EXISTS qunpulse_store.community_rules
(
    community_id String CODEC(ZSTD(1)),
    name String CODEC(ZSTD(1)),
    type LowCardinality(String),
    store LowCardinality(String),
    assignee LowCardinality(String),
    capacity Nullable(UInt32),
    timezone LowCardinality(String),
    opened_at Nullable(DateTime('UTC')),
    closed_at Nullable(DateTime('UTC')),
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY community_id
COMMENT 'Communities as the rules file describes them; not partitioned because there is one row each';
