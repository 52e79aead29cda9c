CREATE OR REPLACE VIEW qunpulse.member_points
(
    community_id String COMMENT 'Community',
    member_id String COMMENT 'Member with an entry in points_ledger',
    as_of Date COMMENT 'Last local day of the community with a figure: points that expire later are still in',
    balance Int64 COMMENT 'Points left, below 0 when more was taken out than there was; points',
    earned Int64 COMMENT 'All points ever earned; points',
    redeemed Int64 COMMENT 'Of these, redeemed for rewards; points',
    reversed Int64 COMMENT 'Of these, taken back when an order was refunded or an invitation reversed; points',
    expired Int64 COMMENT 'Of these, expired; points',
    expiring_30 Int64 COMMENT 'Of the balance, what expires in the 30 local days after as_of unless it is redeemed; points',
    last_date Date COMMENT 'Local day of the last entry'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    l.community_id AS community_id, l.member_id AS member_id, c.as_of AS as_of, l.earned - l.gone AS balance, l.earned AS earned,
    l.redeemed AS redeemed, l.reversed AS reversed, l.expired AS expired,
    greatest(0, toInt64(arraySum(e -> if(e.1 <= c.as_of + 30, e.2, 0), l.expiries)) - l.gone) AS expiring_30, l.last_date AS last_date
FROM
(
    SELECT
        p.community_id AS community_id, p.member_id AS member_id, sumIf(p.points, p.points > 0) AS earned,
        -sumIf(p.points, p.kind = 'redemption') AS redeemed, -sumIf(p.points, p.kind = 'reversal') AS reversed,
        -sumIf(p.points, p.kind = 'expiry') AS expired, redeemed + reversed + expired AS gone,
        groupArrayIf((assumeNotNull(p.expires_on), p.points), p.points > 0) AS expiries, max(p.local_date) AS last_date
    FROM qunpulse.points_ledger AS p
    GROUP BY community_id, member_id
) AS l
INNER JOIN
(
    SELECT community_id, max(local_date) AS as_of
    FROM qunpulse_store.community_days FINAL
    GROUP BY community_id
) AS c ON c.community_id = l.community_id
COMMENT 'Points of each member: balance, what came and went, what expires soon; a row per community and member with any. Times are UTC; dates are the community''s own';
