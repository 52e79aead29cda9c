CREATE OR REPLACE VIEW qunpulse.repurchase_cycle
(
    community_id String COMMENT 'Community',
    intervals UInt64 COMMENT 'Pairs of consecutive orders of the same member (no staff, no bots); count',
    repeat_buyers UInt64 COMMENT 'Members with such a pair; count',
    median_days Float64 COMMENT 'Median time between consecutive orders of a member; days',
    p25_days Float64 COMMENT 'A quarter of these times are shorter; days',
    p75_days Float64 COMMENT 'Three quarters of these times are shorter; days'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, count() AS intervals, uniqExact(member_id) AS repeat_buyers,
    quantileExactInclusive(0.5)(days) AS median_days, quantileExactInclusive(0.25)(days) AS p25_days,
    quantileExactInclusive(0.75)(days) AS p75_days
FROM
(
    SELECT
        community_id, member_id, order_number,
        dateDiff
        (
            'millisecond',
            lagInFrame(ordered_at) OVER
            (
                PARTITION BY community_id, member_id ORDER BY order_number ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
            ),
            ordered_at
        ) / 86400000 AS days
    FROM qunpulse.orders
    WHERE NOT employed
)
WHERE order_number > 1
GROUP BY community_id
COMMENT 'Repurchase cycle: how long members wait between orders; a row per community with a member who ordered twice. Times are UTC';
