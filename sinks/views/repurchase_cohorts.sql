-- A cohort is old enough for N days when they are over for whoever first bought on the month's last day, before the latest
-- day with figures.
CREATE OR REPLACE VIEW qunpulse.repurchase_cohorts
(
    community_id String COMMENT 'Community',
    first_order_month Date COMMENT 'Cohort: first day of the local calendar month of the members'' first order in the community',
    within_days UInt16 COMMENT 'N: 30, 60, 90, 180 or 365 days (times 24 hours) after the first order',
    new_buyers UInt64 COMMENT 'Members (no staff, no bots) with their first paid order in the month; count',
    repurchased Nullable(UInt64) COMMENT 'Those with a second order within N days of the first, refunded or not; count; NULL while the cohort is too young',
    repurchase_rate Nullable(Float64) COMMENT 'repurchased / new_buyers; share from 0 to 1; NULL while the cohort is too young'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH [30, 60, 90, 180, 365] AS day_counts
SELECT
    community_id, first_order_month, figure.1 AS within_days, new_buyers,
    if(toLastDayOfMonth(first_order_month) + figure.1 < latest_date, figure.2, NULL) AS repurchased,
    repurchased / new_buyers AS repurchase_rate
FROM
(
    SELECT
        community_id, toStartOfMonth(first_date) AS first_order_month, count() AS new_buyers,
        sumForEach(arrayMap(days -> orders > 1 AND second_at <= first_at + toIntervalDay(days), day_counts)) AS again
    FROM
    (
        SELECT
            community_id, member_id, count() AS orders, minIf(local_date, order_number = 1) AS first_date,
            minIf(ordered_at, order_number = 1) AS first_at, minIf(ordered_at, order_number = 2) AS second_at
        FROM qunpulse.orders
        WHERE NOT employed
        GROUP BY community_id, member_id
    )
    GROUP BY community_id, first_order_month
) AS cohort
INNER JOIN
(
    SELECT community_id, max(local_date) AS latest_date
    FROM qunpulse_store.community_days FINAL
    GROUP BY community_id
) AS latest USING (community_id)
ARRAY JOIN arrayZip(day_counts, again) AS figure
COMMENT 'Repurchase rate of monthly cohorts of new buyers; a row per community, month of first orders and number of days. Times are UTC; dates are the community''s own';
