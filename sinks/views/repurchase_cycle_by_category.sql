CREATE OR REPLACE VIEW qunpulse.repurchase_cycle_by_category
(
    community_id String COMMENT 'Community',
    category String COMMENT 'Category of order lines; empty where lines name none',
    intervals UInt64 COMMENT 'Pairs of consecutive orders with this category by the same member (no staff, no bots); count',
    repeat_buyers UInt64 COMMENT 'Members with such a pair; count',
    median_days Float64 COMMENT 'Median time between consecutive orders of a member with this category; days',
    p25_days Float64 COMMENT 'A quarter of these times are shorter; days',
    p75_days Float64 COMMENT 'Three quarters of these times are shorter; days'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, category, count() AS intervals, uniqExact(member_id) AS repeat_buyers,
    quantileExactInclusive(0.5)(days) AS median_days, quantileExactInclusive(0.25)(days) AS p25_days,
    quantileExactInclusive(0.75)(days) AS p75_days
FROM
(
    SELECT
        community_id, category, member_id, row_number() OVER before AS place,
        dateDiff('millisecond', lagInFrame(ordered_at) OVER before, ordered_at) / 86400000 AS days
    FROM
    (
        SELECT community_id, member_id, order_number, ordered_at, arrayJoin(arrayDistinct(items.category)) AS category
        FROM qunpulse.orders
        WHERE NOT employed
    )
    WINDOW before AS
    (
        PARTITION BY community_id, category, member_id ORDER BY order_number ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
)
WHERE place > 1
GROUP BY community_id, category
COMMENT 'Repurchase cycle by category; a row per community and category that a member ordered twice. Times are UTC';
