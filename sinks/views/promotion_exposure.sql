-- Every member on the roster at the start of a local day is looked at: how many promotions came in the 168 hours before
-- while they were there (the dose), whether they quit on that day, whether they fall silent from that day on.
--
-- Who has been there for 168 hours has the dose of the whole group: those are counted by running sums of arrivals and
-- departures, only newcomers one by one. Joins are by community and date or community and member, never by time alone:
-- a condition on community_id reaches the key of every table.
CREATE OR REPLACE VIEW qunpulse.promotion_exposure
(
    community_id String COMMENT 'Community',
    local_date Date COMMENT 'Local calendar day of the community, its first instant is when the roster is looked at',
    dose UInt64 COMMENT 'Promotions posted by anybody in the 168 hours before that instant while the member was on the roster; count',
    members UInt64 COMMENT 'Members on the roster at that instant with this dose (staff and bots not counted); members',
    quits UInt64 COMMENT 'Those of them who quit on that day (left or gone, not removed): within 24 hours, 23 or 25 when clocks change; members',
    recently_active UInt64 COMMENT 'Those of them with a message, an interaction or a paid order on one of the 7 local days before; 0 in the last seven days, which cannot be judged yet; members',
    fell_silent UInt64 COMMENT 'Those of the recently active without any of these on this day and the 6 that follow, by quitting or not; members'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    calendar AS
    (
        SELECT
            community_id, local_date, toDateTime64(day, 3, 'UTC') AS at,
            leadInFrame(at) OVER dates AS next_at, max(local_date) OVER every AS last_date
        FROM qunpulse_store.community_days FINAL
        WINDOW
            dates AS (PARTITION BY community_id ORDER BY local_date ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING),
            every AS (PARTITION BY community_id)
    ),
    -- Promotions of each day, before it, and in the 168 hours before it. It is grouped so that the lists are gone
    -- before other tables are joined: the planner would copy a list to every joined row otherwise.
    days AS
    (
        SELECT
            c.community_id AS community_id, c.local_date AS local_date, c.last_date AS last_date, c.at AS at,
            c.next_at AS next_at, any(arrayFilter(p -> p >= c.at AND p < c.next_at, q.posted)) AS posted_then,
            any(arrayCount(p -> p < c.at, q.posted)) AS posted_before,
            any(arrayCount(p -> p < c.at AND p >= c.at - INTERVAL 168 HOUR, q.posted)) AS dose
        FROM (SELECT * FROM calendar WHERE local_date < last_date) AS c
        LEFT JOIN
        (
            -- copies of an event have one id
            SELECT community_id, arrayMap(p -> p.2, groupUniqArray((event_id, occurred_at))) AS posted
            FROM qunpulse_store.events
            WHERE event_type = 'message' AND is_promotion AND late = 0
            GROUP BY community_id
        ) AS q ON q.community_id = c.community_id
        GROUP BY community_id, local_date, last_date, at, next_at
    ),
    spells AS
    (
        SELECT
            community_id, member_id, starts_at, ifNull(ends_at, toDateTime64('2200-01-01', 3, 'UTC')) AS ends_at, quit
        FROM qunpulse.memberships
        WHERE role NOT IN ('staff', 'bot')
    ),
    -- with the promotions posted before the stay began
    stays AS
    (
        SELECT
            s.community_id AS community_id, s.member_id AS member_id, s.starts_at AS starts_at, s.ends_at AS ends_at,
            s.quit AS quit,
            sum(if(s.starts_at >= d.at AND s.starts_at < d.next_at,
                d.posted_before + arrayCount(p -> p < s.starts_at, d.posted_then), 0)) AS posted_before
        FROM (SELECT *, arrayJoin([toDate(starts_at) - 1, toDate(starts_at), toDate(starts_at) + 1]) AS near_date FROM spells) AS s
        LEFT JOIN days AS d ON d.community_id = s.community_id AND d.local_date = s.near_date
        GROUP BY community_id, member_id, starts_at, ends_at, quit
    ),
    long_there AS
    (
        SELECT
            community_id, local_date, is_day,
            sum(step) OVER (PARTITION BY community_id ORDER BY at, is_day ROWS UNBOUNDED PRECEDING) AS there
        FROM
        (
            SELECT
                community_id, toDate(0) AS local_date,
                arrayJoin([(starts_at + INTERVAL 168 HOUR, 1), (ends_at, -1)]) AS tick, tick.1 AS at, tick.2 AS step, 0 AS is_day
            FROM spells
            WHERE ends_at > starts_at + INTERVAL 168 HOUR
            UNION ALL
            SELECT community_id, local_date, (at, 0), at, 0, 1
            FROM calendar
        )
    ),
    -- whom to look at on which day: what they are counted as, and what says whether and how
    looks AS
    (
        SELECT
            community_id, local_date AS looked_date, 'long there' AS what, toInt64(there) AS members, 0 AS silent,
            toDateTime64(0, 3, 'UTC') AS starts_at, toDateTime64('2200-01-01', 3, 'UTC') AS ends_at, toUInt64(0) AS posted_before
        FROM long_there
        WHERE is_day
        UNION ALL
        SELECT community_id, look.2, look.1, toInt64(1), 0, starts_at, ends_at, posted_before
        FROM stays
        ARRAY JOIN arrayConcat(
            arrayMap(day -> ('newcomer', toDate(starts_at) + day - 1), range(11)),
            if(quit, arrayMap(day -> ('quits', toDate(ends_at) + day - 1), range(3)), [])) AS look
        UNION ALL
        SELECT community_id, looked_date, 'active', toInt64(count()), is_silent, since, until, had_before
        FROM
        (
            -- days after an active one, up to the next one, at most 7; who is neither new nor about to leave is like all
            -- others: counted together
            SELECT
                a.community_id AS community_id, look.1 AS looked_date, look.2 AS is_silent,
                toDate(s.starts_at) < looked_date - 9 AND toDate(s.ends_at) > looked_date + 2 AS settled,
                if(settled, toDateTime64(0, 3, 'UTC'), s.starts_at) AS since,
                if(settled, toDateTime64('2200-01-01', 3, 'UTC'), s.ends_at) AS until,
                if(settled, toUInt64(0), s.posted_before) AS had_before
            FROM
            (
                SELECT
                    community_id, member_id, arraySort(groupArray(local_date)) AS dates,
                    arrayMap((date, n) -> if(n = length(dates), 14, dates[n + 1] - date), dates, arrayEnumerate(dates)) AS away,
                    arrayFlatten(arrayMap(
                        (date, gap) -> arrayMap(later -> (date + later, gap - later >= 7), range(1, 1 + least(7, gap))),
                        dates, away)) AS looks_at
                FROM qunpulse_store.member_days FINAL
                WHERE messages + interactions + orders > 0
                GROUP BY community_id, member_id
            ) AS a
            INNER JOIN stays AS s ON s.community_id = a.community_id AND s.member_id = a.member_id
            ARRAY JOIN a.looks_at AS look
        )
        GROUP BY community_id, looked_date, is_silent, since, until, had_before
    ),
    exposed AS
    (
        SELECT
            l.community_id AS community_id, d.local_date AS local_date,
            if(l.starts_at <= d.at - INTERVAL 168 HOUR, d.dose, d.posted_before - l.posted_before) AS dose,
            if(l.what IN ('long there', 'newcomer'), l.members, 0) AS members, l.what = 'quits' AS quits,
            if(l.what = 'active', l.members, 0) AS active,
            if(l.what = 'active' AND l.silent, l.members, 0) AS silent
        FROM looks AS l
        INNER JOIN days AS d ON d.community_id = l.community_id AND d.local_date = l.looked_date
        WHERE l.starts_at <= d.at AND d.at < l.ends_at
            AND (l.what != 'newcomer' OR l.starts_at > d.at - INTERVAL 168 HOUR)
            AND (l.what != 'quits' OR l.ends_at <= d.next_at)
            AND (l.what != 'active' OR d.local_date < d.last_date - 6)
    )
SELECT
    community_id, local_date, toUInt64(dose) AS dose, sum(e.members) AS members, sum(e.quits) AS quits,
    sum(e.active) AS recently_active, sum(e.silent) AS fell_silent
FROM exposed AS e
GROUP BY community_id, local_date, dose
HAVING members > 0
COMMENT 'What members had been sent of promotions at the start of each day, and what they did then: a row per community, day (the last, unfinished one left out) and dose. Times are UTC';
