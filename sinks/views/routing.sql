-- A member is looked for by its account in all communities of the type: whoever is in one of them need not move.
CREATE OR REPLACE VIEW qunpulse.routing
(
    community_id String COMMENT 'Community the member is in',
    member_id String COMMENT 'Member on the roster (staff and bots left out)',
    to_type String COMMENT 'Type of group it should move to: of the first rule that fits (rules file, section moves)',
    reason String COMMENT 'Why, in the words of the rule',
    communities Array(String) COMMENT 'Communities of that type by the rules file; empty while there is none',
    stage LowCardinality(String) COMMENT 'Stage, see lifecycle',
    buyer_stage LowCardinality(String) COMMENT 'Buyer stage, see lifecycle',
    tier LowCardinality(String) COMMENT 'Tier by behaviour, see lifecycle',
    value_tier LowCardinality(String) COMMENT 'Tier by value, see lifecycle',
    rule UInt16 COMMENT 'Number of the rule in the file, from 1'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    moves AS
    (
        SELECT groupArray((number, to_type, stages, buyer_stages, tiers, value_tiers, reason)) AS rules
        FROM (SELECT * FROM qunpulse_store.move_rules FINAL ORDER BY number)
    ),
    -- where each account is by now: what types of groups it needs no more
    present AS
    (
        SELECT m.member_id AS member_id, groupUniqArray(toString(c.type)) AS types
        FROM (SELECT community_id, member_id, status FROM qunpulse_store.members FINAL) AS m
        INNER JOIN (SELECT community_id, type FROM qunpulse_store.community_rules FINAL) AS c ON c.community_id = m.community_id
        WHERE m.status != 'left' AND c.type IN (SELECT to_type FROM qunpulse_store.move_rules FINAL)
        GROUP BY member_id
    ),
    groups AS
    (
        SELECT toString(type) AS to_type, arraySort(groupArray(community_id)) AS communities
        FROM qunpulse_store.community_rules FINAL
        WHERE type != ''
        GROUP BY to_type
    ),
    fitting AS
    (
        SELECT
            l.community_id AS community_id, l.member_id AS member_id, l.stage AS stage, l.buyer_stage AS buyer_stage, l.tier AS tier,
            l.value_tier AS value_tier,
            arrayFirst(r -> NOT has(p.types, r.2)
                AND (empty(r.3) OR has(r.3, l.stage)) AND (empty(r.4) OR has(r.4, l.buyer_stage))
                AND (empty(r.5) OR has(r.5, l.tier)) AND (empty(r.6) OR has(r.6, l.value_tier)), m.rules) AS move
        FROM
        (
            SELECT
                community_id, member_id, toString(stage) AS stage, toString(buyer_stage) AS buyer_stage, toString(tier) AS tier,
                toString(value_tier) AS value_tier
            FROM qunpulse.lifecycle
        ) AS l
        INNER JOIN (SELECT community_id, member_id, status FROM qunpulse_store.members FINAL) AS here
            ON here.community_id = l.community_id AND here.member_id = l.member_id
        CROSS JOIN moves AS m
        LEFT JOIN present AS p ON p.member_id = l.member_id
        WHERE here.status != 'left'
    )
SELECT
    f.community_id AS community_id, f.member_id AS member_id, f.move.2 AS to_type, f.move.7 AS reason, g.communities AS communities,
    f.stage AS stage, f.buyer_stage AS buyer_stage, f.tier AS tier, f.value_tier AS value_tier, f.move.1 AS rule
FROM fitting AS f
LEFT JOIN groups AS g ON g.to_type = f.move.2
WHERE f.move.1 > 0
COMMENT 'Which members should move to which kind of group, and why; a row per community and member for whom a rule fits and who is in no group of that type yet. Times are UTC';
