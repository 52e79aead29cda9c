-- A stay on the roster is a step of +1 at its first day and of -1 behind its last; who left and came back on one day
-- stays one member of that day, so a stay that begins on the day the one before ended counts from the next day.
CREATE OR REPLACE VIEW qunpulse.participation_daily
(
    community_id String COMMENT 'Community',
    local_date Date COMMENT 'Day: calendar date in the community''s time zone',
    day DateTime('UTC') COMMENT 'Instant (UTC) at which that local day begins',
    speakers UInt64 COMMENT 'Distinct members (no staff, no bots) with a message of a speaking kind on this local day; count',
    roster UInt64 COMMENT 'Members (no staff, no bots) who were on the roster at any time of this local day; count',
    roster_at_end UInt64 COMMENT 'Members (no staff, no bots) who were on the roster when this local day ended; count',
    participation_rate Nullable(Float64) COMMENT 'speakers / roster; share from 0 to 1; NULL when nobody was on the roster'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    stays AS
    (
        SELECT
            community_id, since_date, ifNull(until_date, toDate(65534)) AS until_date,
            if(before.2 = since_date, since_date + 1, since_date) AS counted_from
        FROM
        (
            SELECT
                community_id, since_date, until_date,
                lagInFrame((since, until_date)) OVER
                (
                    PARTITION BY community_id, member_id ORDER BY since ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
                ) AS before
            FROM qunpulse.roster_spells
            WHERE NOT employed
        )
    ),
    dates AS
    (
        SELECT
            community_id, local_date, max(day_start) AS day, sum(step) AS step, sum(step_at_end) AS step_at_end,
            sum(day_speakers) AS speakers
        FROM
        (
            SELECT community_id, turn.1 AS local_date, toDateTime(0, 'UTC') AS day_start, turn.2 AS step, turn.3 AS step_at_end, 0 AS day_speakers
            FROM stays
            ARRAY JOIN [(counted_from, 1, 0), (until_date + 1, -1, 0), (since_date, 0, 1), (until_date, 0, -1)] AS turn
            UNION ALL
            SELECT community_id, local_date, day, 0, 0, 0 FROM qunpulse_store.community_days FINAL
            UNION ALL
            SELECT community_id, local_date, toDateTime(0, 'UTC'), 0, 0, speakers FROM qunpulse_store.activity_1d FINAL
        )
        GROUP BY community_id, local_date
    ),
    running AS
    (
        SELECT
            community_id, local_date, day, speakers,
            toUInt64(sum(step) OVER so_far) AS roster, toUInt64(sum(step_at_end) OVER so_far) AS roster_at_end
        FROM dates
        WINDOW so_far AS (PARTITION BY community_id ORDER BY local_date ROWS UNBOUNDED PRECEDING)
    )
SELECT
    community_id, local_date, day, speakers, roster, roster_at_end, speakers / nullIf(roster, 0) AS participation_rate
FROM running
WHERE day > toDateTime(0, 'UTC')
COMMENT 'How many of the roster speak; a row per community and local day from its first day with a figure to its last. Times are UTC';
