-- Distinct members of the 1, 7 and 30 days that end with each day, in one pass whatever the window: a member active on
-- day d and next on day n is inside every window of W days that ends in [d, least(n, d + W)), so that day is a step of
-- +1 at d and of -1 at that end, and the running sum of the steps is the number of members.
CREATE OR REPLACE VIEW qunpulse.active_members_daily
(
    community_id String COMMENT 'Community',
    local_date Date COMMENT 'Day: calendar date in the community''s time zone',
    day DateTime('UTC') COMMENT 'Instant (UTC) at which that local day begins',
    dau UInt64 COMMENT 'Daily active members: distinct members (no staff, no bots) with a message, an interaction or a paid order on this local day; count',
    wau UInt64 COMMENT 'Weekly active members: the same in the 7 local days that end with this one, this one included; count',
    mau UInt64 COMMENT 'Monthly active members: the same in the 30 local days that end with this one, this one included; count',
    dau_mau Nullable(Float64) COMMENT 'Stickiness DAU / MAU; ratio from 0 to 1; NULL when nobody was active in the 30 days',
    wau_mau Nullable(Float64) COMMENT 'Stickiness WAU / MAU; ratio from 0 to 1; NULL when nobody was active in the 30 days'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    -- by date, and for how many days such a day keeps its member inside a window (at most 30)
    stays AS
    (
        SELECT community_id, stay.1 AS active_date, stay.2 AS kept_days, toInt64(count()) AS members
        FROM
        (
            SELECT
                community_id, active_dates AS dates,
                arraySlice(arrayPushBack(arrayPopFront(dates), toDate(65535)), 1, length(dates)) AS next_dates
            FROM qunpulse.member_active_dates
        )
        ARRAY JOIN arrayZip(dates, arrayMap((date, later) -> least(30, later - date), dates, next_dates)) AS stay
        GROUP BY community_id, active_date, kept_days
    ),
    steps AS
    (
        SELECT community_id, active_date + step.1 AS local_date, step.2 AS day_step, step.3 AS week_step, step.4 AS month_step
        FROM stays
        ARRAY JOIN
        [
            (0, members, members, members), (1, -members, 0, 0),
            (least(7, kept_days), 0, -members, 0), (kept_days, 0, 0, -members)
        ] AS step
    ),
    dates AS
    (
        SELECT
            community_id, local_date, max(day_start) AS day,
            sum(day_step) AS day_step, sum(week_step) AS week_step, sum(month_step) AS month_step
        FROM
        (
            SELECT community_id, local_date, toDateTime(0, 'UTC') AS day_start, day_step, week_step, month_step FROM steps
            UNION ALL
            SELECT community_id, local_date, day, 0, 0, 0 FROM qunpulse_store.community_days FINAL
        )
        GROUP BY community_id, local_date
    ),
    running AS
    (
        SELECT
            community_id, local_date, day,
            toUInt64(sum(day_step) OVER so_far) AS dau, toUInt64(sum(week_step) OVER so_far) AS wau,
            toUInt64(sum(month_step) OVER so_far) AS mau
        FROM dates
        WINDOW so_far AS (PARTITION BY community_id ORDER BY local_date ROWS UNBOUNDED PRECEDING)
    )
SELECT
    community_id, local_date, day, dau, wau, mau,
    dau / nullIf(mau, 0) AS dau_mau, wau / nullIf(mau, 0) AS wau_mau
FROM running
WHERE day > toDateTime(0, 'UTC')
COMMENT 'Daily, weekly and monthly active members and stickiness; a row per community and local day from its first day with a figure to its last. Times are UTC';
