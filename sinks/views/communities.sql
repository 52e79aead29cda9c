-- What the worker knows and what the rules file says are two tables, and either may lack a community. Grouping
-- their union instead of a FULL JOIN lets a condition on community_id reach both keys.
CREATE OR REPLACE VIEW qunpulse.communities
(
    community_id String COMMENT 'Community',
    name String COMMENT 'Name by the rules file; empty if it has none',
    type LowCardinality(String) COMMENT 'Type by the rules file; empty if it has none',
    store LowCardinality(String) COMMENT 'Store the community belongs to, by the rules file',
    assignee LowCardinality(String) COMMENT 'Who looks after the community, by the rules file',
    capacity Nullable(UInt32) COMMENT 'Most members it can have, by the rules file; members; NULL if not given',
    timezone LowCardinality(String) COMMENT 'Time zone of its local days (IANA name), fixed when its first event was applied',
    opened_at Nullable(DateTime('UTC')) COMMENT 'When it was opened, by the rules file (UTC); NULL if not given',
    closed_at Nullable(DateTime('UTC')) COMMENT 'When it was closed, by the rules file (UTC); NULL if not given',
    members UInt32 COMMENT 'Roster size: members who joined or were observed and have not left; count',
    resync_needed UInt8 COMMENT '1 when roster versions do not follow each other and a complete snapshot is needed, else 0'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, max(name) AS name, max(type) AS type, max(store) AS store, max(assignee) AS assignee,
    max(capacity) AS capacity,
    if(max(fixed_timezone) != '', max(fixed_timezone), max(rules_timezone)) AS timezone,
    max(opened_at) AS opened_at, max(closed_at) AS closed_at,
    max(members) AS members, max(resync_needed) AS resync_needed
FROM
(
    SELECT
        community_id, name, type, store, assignee, capacity, '' AS fixed_timezone, timezone AS rules_timezone,
        opened_at, closed_at, toUInt32(0) AS members, toUInt8(0) AS resync_needed
    FROM qunpulse_store.community_rules FINAL
    UNION ALL
    SELECT
        community_id, '', '', '', '', NULL, timezone, '',
        NULL, NULL, members, resync_needed
    FROM qunpulse_store.communities FINAL
)
GROUP BY community_id
COMMENT 'Communities: the description in the rules file, and size and roster state as of the last checkpoint; a row per community that has events or is in the rules file. Times are UTC';
