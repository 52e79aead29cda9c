CREATE OR REPLACE VIEW qunpulse.persons_1d
(
    local_date Date COMMENT 'Local calendar day of each community (its own time zone, not UTC)',
    active_members UInt64 COMMENT 'Members with a message, an interaction or a paid order, counted once in each community; count',
    active_accounts UInt64 COMMENT 'The same, each account (platform and member id) counted once over all communities; count',
    active_persons UInt64 COMMENT 'The same, each person counted once over all communities and platforms; count',
    buying_members UInt64 COMMENT 'Members with a paid order, counted once in each community; count',
    buying_persons UInt64 COMMENT 'The same, each person counted once over all communities and platforms; count'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    d.local_date AS local_date, count() AS active_members, uniqExact(m.platform, m.member_id) AS active_accounts,
    uniqExact(m.person_id) AS active_persons, countIf(d.orders > 0) AS buying_members,
    uniqExactIf(m.person_id, d.orders > 0) AS buying_persons
FROM (SELECT community_id, local_date, member_id, messages, interactions, orders FROM qunpulse_store.member_days FINAL) AS d
INNER JOIN qunpulse.person_members AS m ON m.community_id = d.community_id AND m.member_id = d.member_id
WHERE d.messages + d.interactions + d.orders > 0
GROUP BY d.local_date
COMMENT 'Active and buying persons of each day over all communities, each counted once; a row per local date with activity anywhere. Times are UTC';
