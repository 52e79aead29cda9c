-- Interval of a mean count per hour: the score interval of a Poisson mean with dispersion (quasi-likelihood), the values
-- m' with (mean - m')^2 <= z^2 * dispersion * m' / days. Counts of people clump: the dispersion is Pearson's statistic
-- divided by its degrees of freedom over all hours of the community's week (McCullagh & Nelder, Generalized Linear Models,
-- 2nd ed. 1989, 4.5.2 and 9.2.4), or the hour's own variance / mean, or 1, whichever is largest.
CREATE OR REPLACE VIEW qunpulse.activity_hours
(
    community_id String COMMENT 'Community',
    weekday UInt8 COMMENT 'Day of the week by the community''s own calendar: 1 Monday to 7 Sunday',
    hour UInt8 COMMENT 'Hour of the day by the community''s own clock: 0 to 23',
    days UInt64 COMMENT 'Days of this weekday from the community''s first to its last day with a figure; an hour that the clock skipped counts as one without activity, an hour that came twice as one; count',
    activity UInt64 COMMENT 'Messages and interactions by members (staff and bots not counted) in this hour, on all these days; count',
    orders UInt64 COMMENT 'Paid orders in this hour, on all these days; count',
    activity_mean Float64 COMMENT 'activity ÷ days; count per hour',
    activity_low Float64 COMMENT 'Lower end of the 95 % interval of activity_mean (score interval of a Poisson mean with this dispersion); count per hour',
    activity_high Float64 COMMENT 'Upper end of the 95 % interval of activity_mean (as the lower); count per hour',
    dispersion Float64 COMMENT 'How much more than chance alone the counts vary: variance ÷ mean, that of all hours of the week (Pearson) or the hour''s own, the larger, at least 1; ratio',
    activity_share Float64 COMMENT 'activity ÷ that of the whole week; share, 0 without any'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    hours AS
    (
        SELECT
            a.community_id AS community_id, toDate(a.window_start + o.offset_seconds) AS local_date,
            toHour(a.window_start + o.offset_seconds) AS hour,
            sum(a.messages + a.interactions) AS acts, sum(a.orders) AS buys
        FROM
        (
            SELECT community_id, window_start, messages, interactions, orders
            FROM qunpulse_store.activity_1m FINAL
            WHERE messages + interactions + orders > 0
        ) AS a
        ASOF INNER JOIN qunpulse.community_offsets AS o
            ON o.community_id = a.community_id AND a.window_start >= o.starts_at
        GROUP BY community_id, local_date, hour
    ),
    slots AS
    (
        SELECT
            community_id, weekday, hour, sum(dates) AS days, sum(act_sum) AS activity, sum(buy_sum) AS orders,
            sum(act_squares) AS squares
        FROM
        (
            SELECT
                community_id, toDayOfWeek(local_date) AS weekday, hour, 0 AS dates, sum(acts) AS act_sum,
                sum(buys) AS buy_sum, sum(acts * acts) AS act_squares
            FROM hours
            GROUP BY community_id, weekday, hour
            UNION ALL
            SELECT
                community_id, toDayOfWeek(local_date) AS weekday, arrayJoin(range(24)) AS hour, count(), 0, 0, 0
            FROM (SELECT community_id, local_date FROM qunpulse_store.community_days FINAL)
            GROUP BY community_id, weekday, hour
        )
        GROUP BY community_id, weekday, hour
        HAVING days > 0
    ),
    spreads AS
    (
        SELECT
            community_id, weekday, hour, days, activity, orders, activity / days AS mean,
            if(mean = 0, 0, greatest(0, squares - days * mean * mean) / mean) AS pearson,
            greatest(
                1, if(days < 2, 0, pearson / (days - 1)),
                sum(pearson) OVER week / greatest(1, sumIf(days - 1, activity > 0) OVER week)) AS dispersion,
            1.95996 * 1.95996 * dispersion / (2 * days) AS shift,
            sqrt(2 * shift * mean + shift * shift) AS reach,
            sum(activity) OVER week AS of_the_week
        FROM slots
        WINDOW week AS (PARTITION BY community_id)
    )
SELECT
    community_id, weekday, hour, days, activity, orders, mean AS activity_mean,
    greatest(0, mean + shift - reach) AS activity_low, mean + shift + reach AS activity_high, dispersion,
    if(of_the_week = 0, 0, activity / of_the_week) AS activity_share
FROM spreads
COMMENT 'When a community is active: each hour of its own week with its mean and how sure that is; 168 rows per community with a week of days. Times are UTC, weekdays and hours local';
