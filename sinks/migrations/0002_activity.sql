-- Figures of activity windows: absolute values, rewritten whenever they change.
--
-- Partitioned by year of the window's start: figures of a year are read together, the start is part of the
-- key (copies of a row always meet, so FINAL can work on each partition alone), and an insert of backlog
-- touches few partitions.
-- Ordered by community and start: one community's windows lie in a row, and the start rises along the key.
-- Codecs: DoubleDelta for starts at equal steps; T64 crops the many zero bits of small counts; ZSTD(1) after.
CREATE TABLE IF NOT EXISTS qunpulse_store.activity_1m
(
    community_id String CODEC(ZSTD(1)),
    window_start DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    messages UInt32 CODEC(T64, ZSTD(1)),
    speakers UInt32 CODEC(T64, ZSTD(1)),
    interactions UInt32 CODEC(T64, ZSTD(1)),
    active_members UInt32 CODEC(T64, ZSTD(1)),
    staff_messages UInt32 CODEC(T64, ZSTD(1)),
    joins UInt32 CODEC(T64, ZSTD(1)),
    leaves UInt32 CODEC(T64, ZSTD(1)),
    orders UInt32 CODEC(T64, ZSTD(1)),
    refunds UInt32 CODEC(T64, ZSTD(1)),
    buyers UInt32 CODEC(T64, ZSTD(1)),
    promotions UInt32 CODEC(T64, ZSTD(1)),
    links UInt32 CODEC(T64, ZSTD(1)),
    check_ins UInt32 CODEC(T64, ZSTD(1)),
    replies UInt32 CODEC(T64, ZSTD(1)),
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(window_start)
ORDER BY (community_id, window_start)
COMMENT 'Figures of 1-minute windows; partitioned by year so that backlogs land in few parts and FINAL stays within a partition, ordered by community and start';

CREATE TABLE IF NOT EXISTS qunpulse_store.activity_1h
(
    community_id String CODEC(ZSTD(1)),
    window_start DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    messages UInt32 CODEC(T64, ZSTD(1)),
    speakers UInt32 CODEC(T64, ZSTD(1)),
    interactions UInt32 CODEC(T64, ZSTD(1)),
    active_members UInt32 CODEC(T64, ZSTD(1)),
    staff_messages UInt32 CODEC(T64, ZSTD(1)),
    joins UInt32 CODEC(T64, ZSTD(1)),
    leaves UInt32 CODEC(T64, ZSTD(1)),
    orders UInt32 CODEC(T64, ZSTD(1)),
    refunds UInt32 CODEC(T64, ZSTD(1)),
    buyers UInt32 CODEC(T64, ZSTD(1)),
    promotions UInt32 CODEC(T64, ZSTD(1)),
    links UInt32 CODEC(T64, ZSTD(1)),
    check_ins UInt32 CODEC(T64, ZSTD(1)),
    replies UInt32 CODEC(T64, ZSTD(1)),
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(window_start)
ORDER BY (community_id, window_start)
COMMENT 'Figures of 1-hour windows; partitioned by year so that backlogs land in few parts and FINAL stays within a partition, ordered by community and start';

-- Days are the community's own: window_start is the UTC instant at which local_date begins there.
CREATE TABLE IF NOT EXISTS qunpulse_store.activity_1d
(
    community_id String CODEC(ZSTD(1)),
    window_start DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    messages UInt32 CODEC(T64, ZSTD(1)),
    speakers UInt32 CODEC(T64, ZSTD(1)),
    interactions UInt32 CODEC(T64, ZSTD(1)),
    active_members UInt32 CODEC(T64, ZSTD(1)),
    staff_messages UInt32 CODEC(T64, ZSTD(1)),
    joins UInt32 CODEC(T64, ZSTD(1)),
    leaves UInt32 CODEC(T64, ZSTD(1)),
    orders UInt32 CODEC(T64, ZSTD(1)),
    refunds UInt32 CODEC(T64, ZSTD(1)),
    buyers UInt32 CODEC(T64, ZSTD(1)),
    promotions UInt32 CODEC(T64, ZSTD(1)),
    links UInt32 CODEC(T64, ZSTD(1)),
    check_ins UInt32 CODEC(T64, ZSTD(1)),
    replies UInt32 CODEC(T64, ZSTD(1)),
    local_date Date CODEC(DoubleDelta, ZSTD(1)),
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(window_start)
ORDER BY (community_id, window_start)
COMMENT 'Figures of local days; partitioned by year so that backlogs land in few parts and FINAL stays within a partition, ordered by community and start';

-- Four rows per community, rewritten all the time: no partition, the key is the whole question.
CREATE TABLE IF NOT EXISTS qunpulse_store.activity_now
(
    community_id String CODEC(ZSTD(1)),
    window LowCardinality(String),
    as_of DateTime('UTC') CODEC(ZSTD(1)),
    messages UInt32 CODEC(T64, ZSTD(1)),
    speakers UInt32 CODEC(T64, ZSTD(1)),
    interactions UInt32 CODEC(T64, ZSTD(1)),
    active_members UInt32 CODEC(T64, ZSTD(1)),
    staff_messages UInt32 CODEC(T64, ZSTD(1)),
    joins UInt32 CODEC(T64, ZSTD(1)),
    leaves UInt32 CODEC(T64, ZSTD(1)),
    orders UInt32 CODEC(T64, ZSTD(1)),
    refunds UInt32 CODEC(T64, ZSTD(1)),
    buyers UInt32 CODEC(T64, ZSTD(1)),
    promotions UInt32 CODEC(T64, ZSTD(1)),
    links UInt32 CODEC(T64, ZSTD(1)),
    check_ins UInt32 CODEC(T64, ZSTD(1)),
    replies UInt32 CODEC(T64, ZSTD(1)),
    members UInt32 CODEC(T64, ZSTD(1)),
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (community_id, window)
COMMENT 'Rolling windows that end now; not partitioned because there are four rows a community, ordered by community and window';

-- Every calendar day of a community from its first landed day to its last, with the UTC instant of its start:
-- views cannot know a community's time zone rules, and a day may have 23 or 25 hours.
-- A row a day and community: too few to partition.
CREATE TABLE IF NOT EXISTS qunpulse_store.community_days
(
    community_id String CODEC(ZSTD(1)),
    local_date Date CODEC(DoubleDelta, ZSTD(1)),
    day DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    version UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (community_id, local_date)
COMMENT 'Calendar of each community; not partitioned because a year of 1,000 communities is 365,000 short rows, ordered by community and date';
