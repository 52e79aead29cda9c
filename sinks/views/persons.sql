CREATE OR REPLACE VIEW qunpulse.persons
(
    person_id String COMMENT 'Person; see person_members',
    identified UInt8 COMMENT '1 when the imported table of accounts names the person, else 0',
    platforms Array(String) COMMENT 'Platforms the person has an account on, in alphabetical order',
    accounts UInt64 COMMENT 'Accounts (platform and member id) of the person that were seen; count',
    communities UInt64 COMMENT 'Communities the person was ever seen in; count',
    communities_now UInt64 COMMENT 'Communities whose roster the person is on (joined or observed and not left); count',
    is_staff UInt8 COMMENT '1 when one of the accounts is staff or a bot somewhere, else 0',
    first_seen_at DateTime64(3, 'UTC') COMMENT 'First event of any kind anywhere (UTC, milliseconds)',
    last_seen_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Last message, interaction or paid order anywhere (UTC, milliseconds); NULL if none',
    messages UInt64 COMMENT 'Messages of speaking kinds ever, in all communities (not counted while staff or bot); count',
    interactions UInt64 COMMENT 'Interactions ever, in all communities (not counted while staff or bot); count',
    orders UInt64 COMMENT 'Paid orders ever, in all communities; an order told by two communities counts in each; count'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    person_id, max(m.identified) AS identified, arraySort(groupUniqArray(toString(platform))) AS platforms,
    uniqExact(platform, member_id) AS accounts, uniqExact(community_id) AS communities,
    uniqExactIf(community_id, status != 'left') AS communities_now, max(role IN ('staff', 'bot')) AS is_staff,
    min(m.first_seen_at) AS first_seen_at, max(m.last_seen_at) AS last_seen_at, sum(m.messages) AS messages,
    sum(m.interactions) AS interactions, sum(m.orders) AS orders
FROM qunpulse.person_members AS m
GROUP BY person_id
COMMENT 'Persons with what all their accounts did in all communities; a row per person. Times are UTC';
