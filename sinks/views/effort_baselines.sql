-- What was going on during an effort, and what it would have been by the four weeks before at the same weekdays and
-- hours of the community's own clock. An effort of q whole weeks and a rest is compared, week by week, with q times the
-- whole week and its same rest. Minutes are the grain: a span begins and ends with the minutes that hold its ends.
-- An effort longer than those four weeks is compared with none: a group grows or shrinks meanwhile, and that would be taken
-- for its effect.
CREATE OR REPLACE VIEW qunpulse.effort_baselines
(
    community_id String COMMENT 'Community',
    effort_id String COMMENT 'Campaign or event, see efforts',
    kind LowCardinality(String) COMMENT 'campaign, or the kind of the event',
    baseline_weeks UInt8 COMMENT 'Weeks before it, at most 4, that lie wholly after the community''s first day with a figure; 0 for an effort longer than 28 days, of which four weeks before cannot say what it would have been; count',
    activity UInt64 COMMENT 'Messages and interactions by members during the effort; count',
    activity_before Array(UInt64) COMMENT 'The same for each of the baseline weeks, the latest first; count',
    orders UInt64 COMMENT 'Paid orders in the community during the effort, of anybody; count',
    orders_before Array(UInt64) COMMENT 'The same for each of the baseline weeks, the latest first; count'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    604800 AS week,
    local_efforts AS
    (
        SELECT
            e.community_id AS community_id, e.effort_id AS effort_id, e.kind AS kind, e.first_minute AS first_minute,
            toUInt32(e.first_minute) + o.offset_seconds AS starts, starts + e.length AS ends, e.length > 4 * week AS is_long,
            intDiv(e.length, week) AS whole_weeks, e.length % week AS rest,
            row_number() OVER (PARTITION BY community_id ORDER BY effort_id, kind) AS number
        FROM
        (
            SELECT
                community_id, effort_id, kind, toStartOfMinute(starts_at) AS first_minute,
                intDiv(toUnixTimestamp64Milli(ends_at) + 59999, 60000) * 60 - toUInt32(first_minute) AS length
            FROM qunpulse.efforts
        ) AS e
        ASOF INNER JOIN qunpulse.community_offsets AS o
            ON o.community_id = e.community_id AND e.first_minute >= o.starts_at
    ),
    minutes AS
    (
        SELECT
            a.community_id AS community_id, toUInt32(a.window_start) + o.offset_seconds AS at, intDiv(at, 86400) AS local_day,
            a.messages + a.interactions AS acts, a.orders AS buys
        FROM
        (
            SELECT community_id, window_start, messages, interactions, orders
            FROM qunpulse_store.activity_1m FINAL
            WHERE messages + interactions + orders > 0
        ) AS a
        ASOF INNER JOIN qunpulse.community_offsets AS o
            ON o.community_id = a.community_id AND a.window_start >= o.starts_at
    ),
    counted AS
    (
        SELECT
            m.community_id AS community_id, e.number AS number,
            sumIf(m.acts, m.at >= e.starts) AS acts_during, sumIf(m.buys, m.at >= e.starts) AS buys_during,
            -- of a minute before the start: which week it lies in, the latest is 1, and how often it stands for one
            intDiv(e.starts - 1 - m.at, week) + 1 AS weeks_before,
            e.whole_weeks + ((m.at - e.starts + 4 * week) % week < e.rest) AS weight,
            sumIf(m.acts * weight, m.at < e.starts) AS acts_before, sumIf(m.buys * weight, m.at < e.starts) AS buys_before
        FROM minutes AS m
        INNER JOIN
        (
            -- by day, so that a minute meets only the efforts that are near
            SELECT
                community_id, number, starts, ends, whole_weeks, rest,
                arrayJoin(range(intDiv(starts, 86400) - 28, intDiv(ends, 86400) + 1)) AS local_day
            FROM local_efforts
        ) AS e ON e.community_id = m.community_id AND e.local_day = m.local_day
        WHERE m.at >= e.starts - 4 * week AND m.at < e.ends
        GROUP BY community_id, number, weeks_before, weight
    ),
    summed AS
    (
        SELECT
            community_id, number, sum(acts_during) AS activity, sum(buys_during) AS orders,
            [sumIf(acts_before, weeks_before = 1), sumIf(acts_before, weeks_before = 2),
                sumIf(acts_before, weeks_before = 3), sumIf(acts_before, weeks_before = 4)] AS activity_weeks,
            [sumIf(buys_before, weeks_before = 1), sumIf(buys_before, weeks_before = 2),
                sumIf(buys_before, weeks_before = 3), sumIf(buys_before, weeks_before = 4)] AS orders_weeks
        FROM counted
        GROUP BY community_id, number
    ),
    lives AS
    (
        SELECT community_id, min(day) AS first_day
        FROM qunpulse_store.community_days FINAL
        GROUP BY community_id
    )
SELECT
    e.community_id AS community_id, e.effort_id AS effort_id, e.kind AS kind,
    if(e.is_long, 0, toUInt8(least(4, greatest(0, intDiv(dateDiff('second', l.first_day, e.first_minute), week))))) AS baseline_weeks,
    s.activity AS activity, arrayResize(s.activity_weeks, baseline_weeks) AS activity_before,
    s.orders AS orders, arrayResize(s.orders_weeks, baseline_weeks) AS orders_before
FROM local_efforts AS e
INNER JOIN lives AS l ON l.community_id = e.community_id
LEFT JOIN summed AS s ON s.community_id = e.community_id AND s.number = e.number
COMMENT 'Activity and orders in the community during each campaign or event, and, for those of at most 28 days, at the same weekdays and hours of the four weeks before; a row per community and effort. Times are UTC, weeks by the local clock';
