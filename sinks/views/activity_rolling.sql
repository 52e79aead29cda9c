-- Windows of 1, 7 and 30 calendar days that end with each day of a community.
--
-- Sums are running sums over the calendar. Distinct members are counted in one pass over member_days, whatever
-- the window: a member who did something on day d and next on day n is inside every window of W days that ends
-- in [d, least(n, d + W)), so each of their days is a step of +1 at d and of -1 at that end; the running sum of
-- the steps is the number of distinct members. A member's days are gathered as arrays: numbers sorted per member cost
-- a third of a window over rows. (A day has 1-day windows from activity_1d, which are the same.)
-- All of it is calendar dates: a local day of 23 or 25 hours is one day.
-- One UNION grouped by community and date instead of joins: a condition on community_id reaches the key of every
-- table below. A condition on day is applied after counting, since a window reaches back.
CREATE OR REPLACE VIEW qunpulse.activity_rolling
(
    community_id String COMMENT 'Community',
    day DateTime('UTC') COMMENT 'Last day of the window: the instant (UTC) at which that local day of the community begins',
    window LowCardinality(String) COMMENT 'Length of the window in local calendar days, the last one included: 1d, 7d or 30d',
    messages UInt64 COMMENT 'Messages of speaking kinds by members (staff and bots not counted), in the window; count',
    speakers UInt64 COMMENT 'Distinct members with a message, in the window; count',
    interactions UInt64 COMMENT 'Interactions (reactions, votes, check-ins, clicks, …) by members (staff and bots not counted), in the window; count',
    active_members UInt64 COMMENT 'Distinct members with a message, an interaction or a paid order, in the window; count',
    staff_messages UInt64 COMMENT 'Messages and interactions of staff and bots, which count nowhere else, in the window; count',
    joins UInt64 COMMENT 'Times a member joined (lines of roster snapshots not counted), in the window; count',
    leaves UInt64 COMMENT 'Times a member left, was removed or was gone for an unknown reason, in the window; count',
    orders UInt64 COMMENT 'Paid orders, whoever placed them, in the window; count',
    refunds UInt64 COMMENT 'Refunded orders, in the window; count',
    buyers UInt64 COMMENT 'Distinct members with a paid order, in the window; count',
    promotions UInt64 COMMENT 'Messages and interactions of members that are promotions, in the window; count',
    links UInt64 COMMENT 'Messages of kind link by members, in the window; count',
    check_ins UInt64 COMMENT 'Interactions of kind check_in by members, in the window; count',
    replies UInt64 COMMENT 'Messages of members that reply to a message or a member, in the window; count'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    -- each member's days by what they count for: speaking, acting, buying
    members AS
    (
        SELECT
            community_id,
            [
                groupArrayIf(local_date, messages > 0), groupArrayIf(local_date, messages + interactions + orders > 0),
                groupArrayIf(local_date, orders > 0)
            ] AS dates_of
        FROM qunpulse_store.member_days FINAL
        GROUP BY community_id, member_id
    ),
    -- by date, and for how many days such a day keeps its member inside windows (at most 30)
    stays AS
    (
        SELECT community_id, kind, stay.1 AS local_date, stay.2 AS kept_days, toInt64(count()) AS members
        FROM
        (
            SELECT
                community_id, kind, arraySort(listed) AS dates,
                arraySlice(arrayPushBack(arrayPopFront(dates), toDate(65535)), 1, length(dates)) AS next_dates
            FROM members
            ARRAY JOIN ['speak', 'act', 'buy'] AS kind, dates_of AS listed
        )
        ARRAY JOIN arrayZip(dates, arrayMap((date, later) -> least(30, later - date), dates, next_dates)) AS stay
        GROUP BY community_id, kind, local_date, kept_days
    ),
    steps AS
    (
        SELECT
            community_id, local_date + step.1 AS step_date,
            if(kind = 'speak', step.2, 0) AS speak_7, if(kind = 'speak', step.3, 0) AS speak_30,
            if(kind = 'act', step.2, 0) AS act_7, if(kind = 'act', step.3, 0) AS act_30,
            if(kind = 'buy', step.2, 0) AS buy_7, if(kind = 'buy', step.3, 0) AS buy_30
        FROM stays
        ARRAY JOIN [(0, members, members), (least(7, kept_days), -members, 0), (kept_days, 0, -members)] AS step
    ),
    -- by calendar date: the day's figures, the steps, and the instant the day begins
    parts AS
    (
        SELECT
            community_id, local_date, window_start AS day, 1 AS landed,
            messages, speakers, interactions, active_members, staff_messages, joins, leaves, orders,
            refunds, buyers, promotions, links, check_ins, replies,
            0 AS speak_7, 0 AS speak_30, 0 AS act_7, 0 AS act_30, 0 AS buy_7, 0 AS buy_30
        FROM qunpulse_store.activity_1d FINAL
        UNION ALL
        SELECT
            community_id, local_date, day, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
        FROM qunpulse_store.community_days FINAL
        UNION ALL
        SELECT
            community_id, step_date, toDateTime(0, 'UTC'), 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, speak_7, speak_30, act_7, act_30, buy_7, buy_30
        FROM steps
    ),
    calendar AS
    (
        SELECT
            community_id, local_date, max(day) AS day_start, max(landed) AS has_figures,
            sum(messages) AS messages_1, sum(speakers) AS speakers_1,
            sum(interactions) AS interactions_1, sum(active_members) AS active_members_1,
            sum(staff_messages) AS staff_messages_1, sum(joins) AS joins_1, sum(leaves) AS leaves_1,
            sum(orders) AS orders_1, sum(refunds) AS refunds_1, sum(buyers) AS buyers_1,
            sum(promotions) AS promotions_1, sum(links) AS links_1, sum(check_ins) AS check_ins_1,
            sum(replies) AS replies_1,
            sum(speak_7) AS speak_7_step, sum(speak_30) AS speak_30_step, sum(act_7) AS act_7_step,
            sum(act_30) AS act_30_step, sum(buy_7) AS buy_7_step, sum(buy_30) AS buy_30_step
        FROM parts
        GROUP BY community_id, local_date
    ),
    running AS
    (
        SELECT
            community_id, local_date, day_start,
            minIf(local_date, has_figures) OVER all_days AS first_date,
            maxIf(local_date, has_figures) OVER all_days AS last_date,
            messages_1, speakers_1, interactions_1, active_members_1, staff_messages_1, joins_1,
            leaves_1, orders_1, refunds_1, buyers_1, promotions_1, links_1, check_ins_1, replies_1,
            sum(messages_1) OVER week AS messages_7, sum(interactions_1) OVER week AS interactions_7,
            sum(staff_messages_1) OVER week AS staff_messages_7, sum(joins_1) OVER week AS joins_7,
            sum(leaves_1) OVER week AS leaves_7, sum(orders_1) OVER week AS orders_7,
            sum(refunds_1) OVER week AS refunds_7, sum(promotions_1) OVER week AS promotions_7,
            sum(links_1) OVER week AS links_7, sum(check_ins_1) OVER week AS check_ins_7,
            sum(replies_1) OVER week AS replies_7,
            sum(messages_1) OVER month AS messages_30,
            sum(interactions_1) OVER month AS interactions_30,
            sum(staff_messages_1) OVER month AS staff_messages_30, sum(joins_1) OVER month AS joins_30,
            sum(leaves_1) OVER month AS leaves_30, sum(orders_1) OVER month AS orders_30,
            sum(refunds_1) OVER month AS refunds_30, sum(promotions_1) OVER month AS promotions_30,
            sum(links_1) OVER month AS links_30, sum(check_ins_1) OVER month AS check_ins_30,
            sum(replies_1) OVER month AS replies_30,
            toUInt64(sum(speak_7_step) OVER so_far) AS speakers_7,
            toUInt64(sum(speak_30_step) OVER so_far) AS speakers_30,
            toUInt64(sum(act_7_step) OVER so_far) AS active_members_7,
            toUInt64(sum(act_30_step) OVER so_far) AS active_members_30,
            toUInt64(sum(buy_7_step) OVER so_far) AS buyers_7,
            toUInt64(sum(buy_30_step) OVER so_far) AS buyers_30
        FROM calendar
        WINDOW
            all_days AS (PARTITION BY community_id),
            so_far AS (PARTITION BY community_id ORDER BY local_date ROWS UNBOUNDED PRECEDING),
            week AS (PARTITION BY community_id ORDER BY local_date RANGE BETWEEN 6 PRECEDING AND CURRENT ROW),
            month AS (PARTITION BY community_id ORDER BY local_date RANGE BETWEEN 29 PRECEDING AND CURRENT ROW)
    )
SELECT
    community_id, day_start AS day, length.1 AS window,
    length.2 AS messages, length.3 AS speakers, length.4 AS interactions, length.5 AS active_members,
    length.6 AS staff_messages, length.7 AS joins, length.8 AS leaves, length.9 AS orders,
    length.10 AS refunds, length.11 AS buyers, length.12 AS promotions, length.13 AS links,
    length.14 AS check_ins, length.15 AS replies
FROM running
ARRAY JOIN
[
    ('1d', messages_1, speakers_1, interactions_1, active_members_1, staff_messages_1, joins_1, leaves_1,
        orders_1, refunds_1, buyers_1, promotions_1, links_1, check_ins_1, replies_1),
    ('7d', messages_7, speakers_7, interactions_7, active_members_7, staff_messages_7, joins_7, leaves_7,
        orders_7, refunds_7, buyers_7, promotions_7, links_7, check_ins_7, replies_7),
    ('30d', messages_30, speakers_30, interactions_30, active_members_30, staff_messages_30, joins_30,
        leaves_30, orders_30, refunds_30, buyers_30, promotions_30, links_30, check_ins_30, replies_30)
] AS length
WHERE day_start > toDateTime(0, 'UTC') AND local_date BETWEEN first_date AND last_date
    AND messages + speakers + interactions + active_members + staff_messages + joins + leaves
        + orders + refunds + buyers + promotions + links + check_ins + replies > 0
COMMENT 'Activity of the 1, 7 and 30 local calendar days that end with each day, from a community''s first active day to its last; a row per community, day and window that has any figure. Times are UTC';
