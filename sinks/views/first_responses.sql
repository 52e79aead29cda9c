-- Where a community's connector tells which message is answered (`reply_to`), a response is an answer to that message;
-- where it never does, the next message of somebody else is taken for one, and the row says so. Messages are those of
-- speaking kinds; bots neither ask nor answer.
--
-- Next messages are found in one pass backwards: the next of the staff is the latest seen so far, and the next of another
-- member is the next beginning of a run, a run being messages of one member in a row.
--
-- Service time between two instants is S(later) - S(earlier), where S counts the service seconds of the community's own
-- wall clock from some Monday on: whole weeks times the seconds a week has, and what the week so far had of each span.
-- Without service hours every second counts.
--
-- Events are read without FINAL, four times faster: a copy of an answer is no earlier answer, and a copy of a message is
-- dropped at the end.
CREATE OR REPLACE VIEW qunpulse.first_responses
(
    community_id String COMMENT 'Community',
    event_id String COMMENT 'Message of a member (no staff, no bot), of a speaking kind',
    member_id String COMMENT 'Who wrote it',
    asked_at DateTime64(3, 'UTC') COMMENT 'When (UTC, milliseconds)',
    local_date Date COMMENT 'Local day of that (calendar date in the community''s time zone)',
    is_question Nullable(Bool) COMMENT 'Whether it is a question; NULL if not given',
    method LowCardinality(String) COMMENT 'reply_to: answers are told; next_message: estimated, since the community''s events never say what is answered',
    staff_at Nullable(DateTime64(3, 'UTC')) COMMENT 'First response by staff (UTC, milliseconds); NULL if none',
    staff_seconds Nullable(Float64) COMMENT 'Time to it; seconds; NULL if none',
    staff_service_seconds Nullable(Float64) COMMENT 'Part of that time within service hours of the rules file (all of it without any); seconds; NULL if none',
    peer_at Nullable(DateTime64(3, 'UTC')) COMMENT 'First response by another member (UTC, milliseconds); NULL if none',
    peer_seconds Nullable(Float64) COMMENT 'Time to it; seconds; NULL if none',
    peer_service_seconds Nullable(Float64) COMMENT 'Part of that time within service hours of the rules file (all of it without any); seconds; NULL if none'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    toDateTime64('2299-01-01', 3, 'UTC') AS never,
    -- milliseconds of the wall clock since Monday, 5 January 1970, and the service milliseconds among them
    (instant, offsets) -> toUnixTimestamp64Milli(instant) - 345600000
        + 1000 * arrayLast(clock -> clock.1 <= intDiv(toUnixTimestamp64Milli(instant), 1000), offsets).2 AS wall_clock,
    (wall, spans) -> intDiv(wall, 604800000) * arraySum(span -> span.2 - span.1, spans)
        + arraySum(span -> least(greatest(wall % 604800000 - span.1, 0), span.2 - span.1), spans) AS service_until,
    said AS
    (
        SELECT
            community_id, event_id, member_id, occurred_at AS at, reply_to, is_question, sender_role = 'staff' AS by_staff
        FROM qunpulse_store.events
        WHERE event_type = 'message' AND late = 0 AND sender_role != 'bot' AND kind NOT IN
        (
            'reaction', 'vote', 'check_in', 'red_packet', 'survey', 'lottery', 'card', 'coupon_claim', 'coupon_use',
            'attend', 'live_view', 'click'
        )
    ),
    -- communities whose events say what is answered
    telling AS
    (
        SELECT community_id, max(reply_to != '') AS tells
        FROM qunpulse_store.events
        WHERE event_type = 'message' AND late = 0
        GROUP BY community_id
    ),
    answers AS
    (
        SELECT community_id, reply_to AS event_id, groupArray((at, member_id, by_staff)) AS answered
        FROM said
        WHERE reply_to != ''
        GROUP BY community_id, reply_to
    ),
    told AS
    (
        SELECT
            community_id, event_id, member_id, at, is_question, 'reply_to' AS method,
            arrayMin(arrayPushBack(arrayFilter(answer -> answer.3 AND answer.1 >= at, answered).1, never)) AS staff_at,
            arrayMin
            (
                arrayPushBack(arrayFilter(answer -> NOT answer.3 AND answer.1 >= at AND answer.2 != member_id, answered).1, never)
            ) AS peer_at
        FROM said
        INNER JOIN (SELECT community_id FROM telling WHERE tells) AS those USING (community_id)
        LEFT JOIN answers USING (community_id, event_id)
        WHERE NOT by_staff
        LIMIT 1 BY community_id, event_id
    ),
    estimated AS
    (
        SELECT
            community_id, event_id, member_id, at, is_question, by_staff, 'next_message' AS method,
            minIf(at, by_staff) OVER after AS next_staff_at, countIf(by_staff) OVER after AS staff_follow,
            minIf(at, begins) OVER after AS next_peer_at, countIf(begins) OVER after AS peers_follow
        FROM
        (
            SELECT
                community_id, event_id, member_id, at, is_question, by_staff,
                NOT by_staff AND member_id != lagInFrame(member_id) OVER
                (
                    PARTITION BY community_id, by_staff ORDER BY at, event_id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
                ) AS begins
            FROM said
            INNER JOIN (SELECT community_id FROM telling WHERE NOT tells) AS those USING (community_id)
        )
        WINDOW after AS
        (
            PARTITION BY community_id ORDER BY at DESC, event_id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
    ),
    -- wall clock of each community, and its service hours in milliseconds of a week that begins on Monday
    clocks AS
    (
        SELECT community_id, arraySort(groupArray((toUnixTimestamp(starts_at), offset_seconds))) AS offsets
        FROM
        (
            SELECT
                community_id, starts_at, offset_seconds,
                leadInFrame(starts_at, 1, toDateTime('2106-01-01', 'UTC')) OVER
                (
                    PARTITION BY community_id ORDER BY starts_at ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING
                ) AS ends_at
            FROM qunpulse.community_offsets
        ) AS clock
        INNER JOIN
        (
            SELECT community_id, min(day) AS first_day, max(day) AS last_day
            FROM qunpulse_store.community_days FINAL
            GROUP BY community_id
        ) AS known USING (community_id)
        WHERE ends_at > first_day AND starts_at < last_day + toIntervalDay(2)
        GROUP BY community_id
    ),
    hours AS
    (
        SELECT
            community_id,
            groupArray
            (
                (
                    toInt64((weekday - 1) * 86400 + start_minute * 60) * 1000,
                    toInt64((weekday - 1) * 86400 + end_minute * 60) * 1000
                )
            ) AS spans
        FROM qunpulse_store.service_hours FINAL
        GROUP BY community_id
    )
SELECT
    community_id, event_id, member_id, at AS asked_at,
    toDate(toInt32(intDiv(wall_clock(at, offsets), 86400000)) + 4) AS local_date, is_question, method,
    nullIf(message.staff_at, never) AS staff_at, dateDiff('millisecond', at, staff_at) / 1000 AS staff_seconds,
    if
    (
        empty(spans) OR staff_at IS NULL, staff_seconds,
        (service_until(wall_clock(message.staff_at, offsets), spans) - service_until(wall_clock(at, offsets), spans)) / 1000
    ) AS staff_service_seconds,
    nullIf(message.peer_at, never) AS peer_at, dateDiff('millisecond', at, peer_at) / 1000 AS peer_seconds,
    if
    (
        empty(spans) OR peer_at IS NULL, peer_seconds,
        (service_until(wall_clock(message.peer_at, offsets), spans) - service_until(wall_clock(at, offsets), spans)) / 1000
    ) AS peer_service_seconds
FROM
(
    SELECT community_id, event_id, member_id, at, is_question, method, staff_at, peer_at
    FROM told
    UNION ALL
    SELECT
        community_id, event_id, member_id, at, is_question, method,
        if(staff_follow > 0, next_staff_at, never), if(peers_follow > 0, next_peer_at, never)
    FROM estimated
    WHERE NOT by_staff
    LIMIT 1 BY community_id, event_id
) AS message
LEFT JOIN clocks USING (community_id)
LEFT JOIN hours USING (community_id)
COMMENT 'First response to each message of a member, by staff and by peers; a row per community and message of a speaking kind. Times are UTC; dates are the community''s own';
