-- Each step counts only those who took all steps before it, in this order. A cohort is old enough for a step with an end when those who
-- joined on its Sunday have had all of it before the latest day with figures; its rate is NULL before.
CREATE OR REPLACE VIEW qunpulse.funnel_aarrr_strict
(
    community_id String COMMENT 'Community',
    join_week Date COMMENT 'Cohort: Monday of the local week in which its members joined for the first time',
    source String COMMENT 'Where from: source of the join (channel or QR code), else its via',
    acquired UInt64 COMMENT 'Members (no staff, no bots) who joined for the first time in that week; count',
    activated UInt64 COMMENT 'Those with a first message or paid order within the activation days (7 local days after joining unless view definitions says otherwise); count so far',
    retained UInt64 COMMENT 'Activated members who were active (message, interaction or paid order) on local days 8 to 30 after joining; count so far',
    bought UInt64 COMMENT 'Retained members with a paid order then or later; count so far',
    referred UInt64 COMMENT 'Members who referred or invited somebody after that; count so far',
    activation_rate Nullable(Float64) COMMENT 'activated / acquired; share from 0 to 1; NULL while the cohort is too young',
    retention_rate Nullable(Float64) COMMENT 'retained / activated; share from 0 to 1; NULL while the cohort is too young, or when nobody was activated',
    purchase_rate Nullable(Float64) COMMENT 'bought / retained; share from 0 to 1; NULL while the cohort is too young, or when nobody was retained',
    referral_rate Nullable(Float64) COMMENT 'referred / bought; share from 0 to 1; NULL while the cohort is too young, or when nobody bought',
    median_days_to_activated Nullable(Float64) COMMENT 'Median time from joining to activation; days; NULL when nobody was',
    median_days_to_retained Nullable(Float64) COMMENT 'Median time from activation to the first activity on days 8 to 30; days; NULL when nobody was',
    median_days_to_bought Nullable(Float64) COMMENT 'Median time from that to the first paid order then or later; days; NULL when nobody did',
    median_days_to_referred Nullable(Float64) COMMENT 'Median time from that order to the first referral then or later; days; NULL when nobody did'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, join_week, source, acquired, activated, retained, bought, referred,
    if(old_for_activation, activated / acquired, NULL) AS activation_rate,
    if(old_for_retention, retained / nullIf(activated, 0), NULL) AS retention_rate,
    if(old_for_retention, bought / nullIf(retained, 0), NULL) AS purchase_rate,
    if(old_for_retention, referred / nullIf(bought, 0), NULL) AS referral_rate,
    median_days_to_activated, median_days_to_retained, median_days_to_bought, median_days_to_referred
FROM
(
    SELECT
        community_id, join_week, source, acquired, activated, retained, bought, referred, median_days_to_activated,
        median_days_to_retained, median_days_to_bought, median_days_to_referred,
        join_week + 6 + last_day < latest_date AS old_for_activation, join_week + 6 + 30 < latest_date AS old_for_retention
    FROM
    (
        SELECT
            community_id, join_week, source, count() AS acquired, count(activated_at) AS activated,
            count(strict_retained_at) AS retained, count(strict_bought_at) AS bought, count(strict_referred_at) AS referred,
            quantileExactInclusiveOrNull(0.5)(dateDiff('millisecond', acquired_at, activated_at) / 86400000) AS median_days_to_activated,
            quantileExactInclusiveOrNull(0.5)(dateDiff('millisecond', activated_at, strict_retained_at) / 86400000) AS median_days_to_retained,
            quantileExactInclusiveOrNull(0.5)(dateDiff('millisecond', strict_retained_at, strict_bought_at) / 86400000) AS median_days_to_bought,
            quantileExactInclusiveOrNull(0.5)(dateDiff('millisecond', strict_bought_at, strict_referred_at) / 86400000) AS median_days_to_referred
        FROM qunpulse.funnel_members
        GROUP BY community_id, join_week, source
    ) AS cohort
    INNER JOIN
    (
        SELECT community_id, max(local_date) AS latest_date
        FROM qunpulse_store.community_days FINAL
        GROUP BY community_id
    ) AS latest USING (community_id)
    CROSS JOIN (SELECT any(value) AS last_day FROM qunpulse.definitions WHERE name = 'activation_days') AS activation
)
COMMENT 'AARRR funnel as a strict sequence: acquired, then activated, then retained, then bought, then referred; each rate is of the step before; a row per community, join week and source. Times are UTC; dates are the community''s own';
