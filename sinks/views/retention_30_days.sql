CREATE OR REPLACE VIEW qunpulse.retention_30_days
(
    community_id String COMMENT 'Community',
    join_week Date COMMENT 'Cohort: Monday of the local week in which its members joined for the first time',
    members UInt64 COMMENT 'Size of the cohort; members',
    still_in_group Nullable(UInt64) COMMENT 'On the roster at the end of the 30th day after joining, active or not; count; NULL while the cohort is too young',
    active_on_day_30 Nullable(UInt64) COMMENT 'Active on exactly the 30th day after joining (bounded reading); count; NULL while the cohort is too young',
    active_on_day_30_or_later Nullable(UInt64) COMMENT 'Active on the 30th day after joining or later (unbounded reading); count; NULL while the cohort is too young',
    still_in_group_rate Nullable(Float64) COMMENT 'still_in_group / members; share from 0 to 1; NULL while the cohort is too young',
    active_on_day_30_rate Nullable(Float64) COMMENT 'active_on_day_30 / members; share from 0 to 1; NULL while the cohort is too young',
    active_on_day_30_or_later_rate Nullable(Float64) COMMENT 'active_on_day_30_or_later / members; share from 0 to 1; NULL while the cohort is too young'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, join_week, members, in_group AS still_in_group, active_bounded AS active_on_day_30,
    active_unbounded AS active_on_day_30_or_later, in_group_rate AS still_in_group_rate,
    bounded_rate AS active_on_day_30_rate, unbounded_rate AS active_on_day_30_or_later_rate
FROM qunpulse.retention_cohorts
WHERE period = 'D30'
COMMENT 'Thirty days later: who is still in the group, and who is still active in both readings of the word; a row per community and weekly cohort. Times are UTC; dates are the community''s own';
