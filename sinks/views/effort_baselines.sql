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
    -- a community's UTC offsets in their order: since when and until when each holds (seconds since 1970), and its seconds
    clocks AS
    (
        SELECT
            community_id, arraySort(groupArray((toInt64(toUnixTimestamp(starts_at)), toInt64(offset_seconds)))) AS changes,
            arrayMap((change, next) -> (change.1, next, change.2), changes,
                arrayPushBack(arrayPopFront(changes.1), toInt64(4294967296))) AS offsets
        FROM qunpulse.community_offsets
        GROUP BY community_id
    ),
    local_efforts AS
    (
        SELECT
            e.community_id AS community_id, e.effort_id AS effort_id, e.kind AS kind, e.first_minute AS first_minute,
            e.first_minute + arrayLast(o -> o.1 <= e.first_minute, c.offsets).3 AS starts, starts + e.length AS ends,
            e.length > 4 * week AS is_long, intDiv(e.length, week) AS whole_weeks, e.length % week AS rest, c.offsets AS offsets
        FROM
        (
            SELECT
                community_id, effort_id, kind, toInt64(toUnixTimestamp(toStartOfMinute(starts_at))) AS first_minute,
                intDiv(toUnixTimestamp64Milli(ends_at) + 59999, 60000) * 60 - first_minute AS length
            FROM qunpulse.efforts
        ) AS e
        INNER JOIN clocks AS c ON c.community_id = e.community_id
        WHERE c.offsets[1].1 <= e.first_minute
    ),
    -- (since, until, weeks before, how often it counts) by the local clock: the effort itself, and of each week before it
    -- the part as long as the rest, then what is left
    pieces AS
    (
        SELECT
            community_id, effort_id, kind, first_minute, is_long, offsets,
            arrayJoin(arrayPushFront(
                if(is_long, [], arrayFilter(piece -> piece.1 < piece.2 AND piece.4 > 0, arrayConcat(
                    arrayMap(n -> (starts - n * week, starts - n * week + rest, toInt64(n), whole_weeks + 1), [1, 2, 3, 4]),
                    arrayMap(n -> (starts - n * week + rest, starts - (n - 1) * week, toInt64(n), whole_weeks), [1, 2, 3, 4])))),
                (starts, ends, toInt64(0), toInt64(1)))) AS piece
        FROM local_efforts
    ),
    -- the same in UTC, and by date, so that a piece meets only the minutes of its dates
    dated AS
    (
        SELECT
            community_id, effort_id, kind, first_minute, is_long, piece.3 AS weeks_before, piece.4 AS weight,
            greatest(offset.1, piece.1 - offset.3) AS since, least(offset.2, piece.2 - offset.3) AS until,
            arrayJoin(range(toUInt32(intDiv(since, 86400)), toUInt32(intDiv(until - 1, 86400)) + 1)) AS date
        FROM pieces
        ARRAY JOIN arrayFilter(o -> o.1 < piece.2 - o.3 AND o.2 > piece.1 - o.3, offsets) AS offset
    ),
    -- a row per date, not per minute: most dates lie in several efforts and their weeks before
    dates AS
    (
        SELECT
            community_id, intDiv(toUnixTimestamp(window_start), 86400) AS date, groupArray(toUnixTimestamp(window_start)) AS minutes,
            groupArray(messages + interactions) AS acts, groupArray(orders) AS buys
        FROM qunpulse_store.activity_1m FINAL
        WHERE messages + interactions + orders > 0
        GROUP BY community_id, date
    ),
    summed AS
    (
        SELECT
            community_id, effort_id, kind, first_minute, is_long, sumIf(acted, weeks_before = 0) AS activity,
            sumIf(bought, weeks_before = 0) AS orders,
            [sumIf(acted, weeks_before = 1), sumIf(acted, weeks_before = 2), sumIf(acted, weeks_before = 3),
                sumIf(acted, weeks_before = 4)] AS activity_weeks,
            [sumIf(bought, weeks_before = 1), sumIf(bought, weeks_before = 2), sumIf(bought, weeks_before = 3),
                sumIf(bought, weeks_before = 4)] AS orders_weeks
        FROM
        (
            SELECT
                p.community_id AS community_id, p.effort_id AS effort_id, p.kind AS kind, p.first_minute AS first_minute,
                p.is_long AS is_long, p.weeks_before AS weeks_before,
                p.weight * arraySum((n, at) -> if(at >= p.since AND at < p.until, n, 0), d.acts, d.minutes) AS acted,
                p.weight * arraySum((n, at) -> if(at >= p.since AND at < p.until, n, 0), d.buys, d.minutes) AS bought
            FROM dates AS d
            RIGHT JOIN dated AS p ON p.community_id = d.community_id AND p.date = d.date
        )
        GROUP BY community_id, effort_id, kind, first_minute, is_long
    ),
    lives AS
    (
        SELECT community_id, min(day) AS first_day
        FROM qunpulse_store.community_days FINAL
        GROUP BY community_id
    )
SELECT
    s.community_id AS community_id, s.effort_id AS effort_id, s.kind AS kind,
    if(s.is_long, 0, toUInt8(least(4, greatest(0, intDiv(s.first_minute - toUnixTimestamp(l.first_day), week))))) AS baseline_weeks,
    s.activity AS activity, arrayResize(s.activity_weeks, baseline_weeks) AS activity_before,
    s.orders AS orders, arrayResize(s.orders_weeks, baseline_weeks) AS orders_before
FROM summed AS s
INNER JOIN lives AS l ON l.community_id = s.community_id
COMMENT 'Activity and orders in the community during each campaign or event, and, for those of at most 28 days, at the same weekdays and hours of the four weeks before; a row per community and effort. Times are UTC, weeks by the local clock';
