CREATE OR REPLACE VIEW qunpulse.community_persons
(
    community_id String COMMENT 'Community',
    accounts UInt64 COMMENT 'Accounts on the roster (joined or observed and not left), staff and bots included; count',
    persons UInt64 COMMENT 'Distinct persons behind them; count',
    elsewhere UInt64 COMMENT 'Those of the persons who are on the roster of another community too, by whatever account; count',
    elsewhere_share Float64 COMMENT 'elsewhere ÷ persons: how far the group overlaps with the others; share, 0 without persons'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    m.community_id AS community_id, count() AS accounts, uniqExact(m.person_id) AS persons,
    uniqExactIf(m.person_id, p.communities > 1) AS elsewhere,
    if(persons = 0, 0, elsewhere / persons) AS elsewhere_share
FROM qunpulse.person_members AS m
INNER JOIN
(
    SELECT person_id, uniqExact(community_id) AS communities
    FROM qunpulse.person_members
    WHERE status != 'left'
    GROUP BY person_id
) AS p ON p.person_id = m.person_id
WHERE m.status != 'left'
GROUP BY m.community_id
COMMENT 'How many persons stand behind the accounts of each community, and how many of them are in other communities too; a row per community with a roster. Times are UTC';
