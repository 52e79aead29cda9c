-- Who is who: an account in a community, its platform, and the person behind it. An account that no file names is a
-- person of its own, the same in every community of its platform, since member_id is.
CREATE OR REPLACE VIEW qunpulse.person_members
(
    community_id String COMMENT 'Community',
    member_id String COMMENT 'Member: the account on the platform',
    platform LowCardinality(String) COMMENT 'Platform that the community''s events name (the alphabetically first if several); empty if none',
    person_id String COMMENT 'Person by the imported table of accounts; platform:member_id for an account that it does not name',
    identified UInt8 COMMENT '1 when the imported table names the account, else 0',
    status LowCardinality(String) COMMENT 'active: on the roster; left; observed: seen, but not known to be on the roster',
    role LowCardinality(String) COMMENT 'Role in the latest message or join event: member, expert, owner, admin, staff or bot',
    first_seen_at DateTime64(3, 'UTC') COMMENT 'First event of any kind in this community (UTC, milliseconds)',
    last_seen_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Last message, interaction or paid order in this community (UTC, milliseconds); NULL if none',
    messages UInt32 COMMENT 'Messages of speaking kinds ever (not counted while staff or bot); count',
    interactions UInt32 COMMENT 'Interactions ever (not counted while staff or bot); count',
    orders UInt32 COMMENT 'Paid orders ever; count'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    members AS
    (
        SELECT
            m.community_id AS community_id, m.member_id AS member_id, p.platform AS platform,
            m.status AS status, m.role AS role, m.first_seen_at AS first_seen_at, m.last_seen_at AS last_seen_at,
            m.messages AS messages, m.interactions AS interactions, m.orders AS orders
        FROM (SELECT * FROM qunpulse_store.members FINAL) AS m
        LEFT JOIN
        (
            -- copies of an event name the same platform: no FINAL
            SELECT community_id, minIf(platform, platform != '') AS platform
            FROM qunpulse_store.events
            GROUP BY community_id
        ) AS p ON p.community_id = m.community_id
    )
SELECT
    m.community_id AS community_id, m.member_id AS member_id, m.platform AS platform,
    if(i.person_id != '', i.person_id, concat(m.platform, ':', m.member_id)) AS person_id,
    i.person_id != '' AS identified,
    m.status AS status, m.role AS role, m.first_seen_at AS first_seen_at, m.last_seen_at AS last_seen_at,
    m.messages AS messages, m.interactions AS interactions, m.orders AS orders
FROM members AS m
LEFT JOIN (SELECT platform, member_id, person_id FROM qunpulse_store.identities FINAL) AS i
    ON i.platform = m.platform AND i.member_id = m.member_id
COMMENT 'Members and the persons behind them, by the table of accounts that qunpulse identities import loads; a row per community and member. Times are UTC';
