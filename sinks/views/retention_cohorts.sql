-- Periods are counted from the local day of joining, D0: D7 is the seventh day after it, W1 the days 7 to 13. A cohort is
-- old enough for a period when even those who joined on its Sunday have had all of it before the latest day with figures
-- (which may not be over); before that its figures are NULL, never a small number that would grow.
CREATE OR REPLACE VIEW qunpulse.retention_cohorts
(
    community_id String COMMENT 'Community',
    join_week Date COMMENT 'Cohort: Monday of the local week in which its members joined for the first time',
    period LowCardinality(String) COMMENT 'D1, D7, D14, D30, or W1 to W12; D0 is the local day of joining',
    first_day UInt16 COMMENT 'First day of the period, counted from D0; number',
    last_day UInt16 COMMENT 'Last day of the period, counted from D0; number',
    members UInt64 COMMENT 'Size of the cohort: members (no staff, no bots) who joined in that week; count',
    active_bounded Nullable(UInt64) COMMENT 'Bounded retention: members active (message, interaction or paid order) in exactly this period; count; NULL while the cohort is too young',
    active_unbounded Nullable(UInt64) COMMENT 'Unbounded retention: members active in this period or at any time after it; count; NULL while the cohort is too young',
    in_group Nullable(UInt64) COMMENT 'Members on the roster when the period ended, active or not; count; NULL while the cohort is too young',
    bounded_rate Nullable(Float64) COMMENT 'active_bounded / members; share from 0 to 1; NULL while the cohort is too young',
    unbounded_rate Nullable(Float64) COMMENT 'active_unbounded / members; share from 0 to 1; NULL while the cohort is too young',
    in_group_rate Nullable(Float64) COMMENT 'in_group / members; share from 0 to 1; NULL while the cohort is too young'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    arrayConcat
    (
        [('D1', 1, 1), ('D7', 7, 7), ('D14', 14, 14), ('D30', 30, 30)],
        arrayMap(week -> (concat('W', toString(week)), week * 7, week * 7 + 6), range(1, 13))
    ) AS periods,
    latest AS
    (
        SELECT community_id, max(local_date) AS latest_date
        FROM qunpulse_store.community_days FINAL
        GROUP BY community_id
    ),
    spells AS
    (
        SELECT
            community_id, member_id,
            groupArray((since_date, ifNull(until_date, toDate(65535)))) AS stays
        FROM qunpulse.roster_spells
        WHERE NOT employed
        GROUP BY community_id, member_id
    ),
    cohorts AS
    (
        SELECT
            community_id, join_week, count() AS members,
            sumForEach(arrayMap(p -> if(p.1 LIKE 'D%', has(days, p.2), has(weeks, intDiv(p.2, 7))), periods)) AS bounded,
            sumForEach(arrayMap(p -> last_active >= p.2, periods)) AS unbounded,
            sumForEach
            (
                arrayMap(p -> arrayExists(stay -> stay.1 <= join_date + p.3 AND stay.2 > join_date + p.3, stays), periods)
            ) AS in_groups
        FROM
        (
            SELECT
                community_id, join_week, join_date, stays,
                arrayMap(date -> date - join_date, active_dates) AS days_after,
                arrayIntersect(days_after, [1, 7, 14, 30]) AS days,
                arrayDistinct(arrayMap(day -> toInt16(intDiv(day, 7)), days_after)) AS weeks,
                if(empty(days_after), -1, days_after[-1]) AS last_active
            FROM qunpulse.first_joins
            LEFT JOIN qunpulse.member_active_dates USING (community_id, member_id)
            LEFT JOIN spells USING (community_id, member_id)
        )
        GROUP BY community_id, join_week
    )
SELECT
    community_id, join_week, figures.1.1 AS period, figures.1.2 AS first_day, figures.1.3 AS last_day, members,
    if(old_enough, figures.2, NULL) AS active_bounded, if(old_enough, figures.3, NULL) AS active_unbounded,
    if(old_enough, figures.4, NULL) AS in_group,
    active_bounded / members AS bounded_rate, active_unbounded / members AS unbounded_rate, in_group / members AS in_group_rate
FROM
(
    SELECT
        community_id, join_week, members, latest_date, figures, join_week + 6 + figures.1.3 < latest_date AS old_enough
    FROM cohorts
    INNER JOIN latest USING (community_id)
    ARRAY JOIN arrayZip(periods, bounded, unbounded, in_groups) AS figures
)
COMMENT 'Retention of weekly cohorts by joining, bounded and unbounded, and apart from it who is still in the group; a row per community, cohort and period. Times are UTC; dates are the community''s own';
