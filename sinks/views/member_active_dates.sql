-- One place says what an active day is; DAU, retention, the funnel and revenue per user all read it.
--
-- Grouping the union of days and roles (instead of a join) is one pass, and a condition on community_id reaches both
-- keys. Messages of staff never reach member_days; an order carries no role, so the buyer's role is looked up.
CREATE OR REPLACE VIEW qunpulse.member_active_dates
(
    community_id String COMMENT 'Community',
    member_id String COMMENT 'Member; staff and bots (by their latest role, and never counted as a member before) have no row',
    active_dates Array(Date) COMMENT 'Local days (calendar dates in the community''s time zone) with a message, an interaction or a paid order, ascending'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, member_id, arraySort(groupArrayIf(local_date, active)) AS active_dates
FROM
(
    SELECT community_id, member_id, local_date, messages + interactions + orders > 0 AS active, 0 AS employed
    FROM qunpulse_store.member_days FINAL
    UNION ALL
    SELECT community_id, member_id, toDate(0), 0, role IN ('staff', 'bot') AND messages + interactions = 0
    FROM qunpulse_store.members FINAL
)
GROUP BY community_id, member_id
HAVING max(employed) = 0 AND notEmpty(active_dates)
COMMENT 'Active local days of each member; a row per community and member with any. Times are UTC; dates are the community''s own';
