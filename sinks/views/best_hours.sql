CREATE OR REPLACE VIEW qunpulse.best_hours
(
    community_id String COMMENT 'Community',
    rank UInt64 COMMENT 'Place by activity_mean, 1 is the most active hour of the week; ties share a place; rank',
    weekday UInt8 COMMENT 'Day of the week by the community''s own calendar: 1 Monday to 7 Sunday',
    hour UInt8 COMMENT 'Hour of the day by the community''s own clock: 0 to 23',
    days UInt64 COMMENT 'Days it was observed on; count',
    activity_mean Float64 COMMENT 'Messages and interactions of members in this hour; count per hour',
    activity_low Float64 COMMENT 'Lower end of its 95 % interval (see activity_hours); count per hour',
    activity_high Float64 COMMENT 'Upper end of its 95 % interval (see activity_hours); count per hour',
    times_average Float64 COMMENT 'activity_mean ÷ the mean over all hours of the week; ratio',
    surely_above_average UInt8 COMMENT '1 when its interval, widened for the choice among 168 hours (Bonferroni: z = 3.617 instead of 1.96), lies above the mean over all hours of the week; else 0: the place may be chance'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    ranked AS
    (
        SELECT
            community_id, weekday, hour, days, activity_mean, activity_low, activity_high,
            avg(activity_mean) OVER (PARTITION BY community_id) AS average,
            rank() OVER (PARTITION BY community_id ORDER BY activity_mean DESC) AS place,
            3.61736 * 3.61736 * dispersion / (2 * days) AS shift,
            activity_mean + shift - sqrt(2 * shift * activity_mean + shift * shift) AS low_among_all
        FROM qunpulse.activity_hours
    )
SELECT
    community_id, place AS rank, weekday, hour, days, activity_mean, activity_low, activity_high,
    activity_mean / average AS times_average, low_among_all > average AS surely_above_average
FROM ranked
WHERE place <= 10 AND activity_mean > 0
COMMENT 'The ten most active hours of the week of each community, when to post there, and how sure that is; up to ten rows per community, more when places are shared. Times are UTC, weekdays and hours local';
