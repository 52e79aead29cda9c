CREATE OR REPLACE VIEW qunpulse.conversion_monthly
(
    community_id String COMMENT 'Community',
    month Date COMMENT 'First day of the calendar month in the community''s time zone',
    buyers UInt64 COMMENT 'Distinct members (no staff, no bots) with a paid order in the month; count',
    active_members UInt64 COMMENT 'Distinct members (no staff, no bots) with a message, an interaction or a paid order in the month; count',
    roster UInt64 COMMENT 'Members (no staff, no bots) on the roster at any time of the month''s latest day with figures; count',
    buyers_per_active Nullable(Float64) COMMENT 'Conversion of the active: buyers / active_members; share from 0 to 1; NULL when nobody was active',
    buyers_per_roster Nullable(Float64) COMMENT 'Conversion of the roster: buyers / roster; ratio (buyers who left before the month''s end count too); NULL without roster'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, month, countDistinctIf(member_id, what = 'buys') AS buyers, countIf(what = 'acts') AS active_members,
    max(there) AS roster, buyers / nullIf(active_members, 0) AS buyers_per_active, buyers / nullIf(roster, 0) AS buyers_per_roster
FROM
(
    SELECT community_id, toStartOfMonth(local_date) AS month, 'buys' AS what, member_id, toUInt64(0) AS there
    FROM qunpulse.orders
    WHERE NOT employed
    UNION ALL
    SELECT
        community_id, arrayJoin(arrayDistinct(arrayMap(local_date -> toStartOfMonth(local_date), active_dates))), 'acts', '', 0
    FROM qunpulse.member_active_dates
    UNION ALL
    SELECT community_id, toStartOfMonth(local_date) AS of_month, 'is there', '', argMax(roster, local_date)
    FROM qunpulse.participation_daily
    GROUP BY community_id, of_month
)
GROUP BY community_id, month
COMMENT 'How many of the active and of the roster buy; a row per community and local calendar month from its first day with a figure to its last. Times are UTC; dates are the community''s own';
