CREATE OR REPLACE VIEW qunpulse.local_days
(
    community_id String COMMENT 'Community',
    local_date Date COMMENT 'Calendar date in the community''s time zone',
    day DateTime('UTC') COMMENT 'Instant (UTC) at which that local day begins',
    ends_at Nullable(DateTime('UTC')) COMMENT 'Instant (UTC) at which the next local day begins; NULL for the latest day with figures',
    hours Nullable(Float64) COMMENT 'Length of the local day; hours (23 or 25 when clocks change); NULL for the latest day with figures'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, local_date, day, nullIf(next_day, toDateTime(0, 'UTC')) AS ends_at, (ends_at - day) / 3600 AS hours
FROM
(
    SELECT
        community_id, local_date, day,
        leadInFrame(day) OVER
        (
            PARTITION BY community_id ORDER BY local_date ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING
        ) AS next_day
    FROM qunpulse_store.community_days FINAL
)
COMMENT 'Calendar of each community; a row per community and local day from its first day with a figure to its last. Times are UTC; dates are the community''s own';
