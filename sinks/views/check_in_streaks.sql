CREATE OR REPLACE VIEW qunpulse.check_in_streaks
(
    community_id String COMMENT 'Community',
    member_id String COMMENT 'Member',
    first_date Date COMMENT 'First local day of the streak',
    last_date Date COMMENT 'Last local day of the streak',
    days UInt64 COMMENT 'Consecutive local days with a check-in (kind check_in, staff and bots not counted); days',
    alive UInt8 COMMENT '1 when the last day is the community''s last local day with a figure or the day before, so that the streak can still go on; else 0'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    s.community_id AS community_id, s.member_id AS member_id, s.first_date AS first_date, s.last_date AS last_date, s.days AS days,
    s.last_date + 1 >= c.as_of AS alive
FROM
(
    SELECT community_id, member_id, min(local_date) AS first_date, max(local_date) AS last_date, max(d.streak_days) AS days
    FROM qunpulse.check_in_days AS d
    GROUP BY community_id, member_id, toInt64(local_date) - d.streak_days
) AS s
INNER JOIN
(
    SELECT community_id, max(local_date) AS as_of
    FROM qunpulse_store.community_days FINAL
    GROUP BY community_id
) AS c ON c.community_id = s.community_id
COMMENT 'Streaks of daily check-ins; a row per community, member and streak. Times are UTC; dates are the community''s own';
