-- Difference of two shares with Newcombe's interval: Wilson intervals of both put together (Newcombe, Statistics in
-- Medicine 17, 1998, 873-890, method 10).
CREATE OR REPLACE VIEW qunpulse.newcomers_answered
(
    community_id String COMMENT 'Community',
    newcomers UInt64 COMMENT 'Members whose first joining that was told lies 31 days or more before the community''s last event, and who posted a first message within 7 days (168 hours) of it; staff and bots left out; count',
    answered UInt64 COMMENT 'Of these, those to whose first message somebody else replied within 24 hours (reply_to that message, or reply_to_member_id the newcomer); count',
    answered_stayed UInt64 COMMENT 'Of the answered, those still on the roster 30 days (720 hours) after joining; count',
    answered_share Nullable(Float64) COMMENT 'answered_stayed ÷ answered: who stayed of the answered; share, NULL without any',
    answered_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson 1927); share, NULL without any',
    answered_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson 1927); share, NULL without any',
    unanswered UInt64 COMMENT 'newcomers - answered; count',
    unanswered_stayed UInt64 COMMENT 'Of the unanswered, those still on the roster 30 days after joining; count',
    unanswered_share Nullable(Float64) COMMENT 'unanswered_stayed ÷ unanswered: who stayed of the others; share, NULL without any',
    unanswered_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Wilson 1927); share, NULL without any',
    unanswered_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (Wilson 1927); share, NULL without any',
    difference Nullable(Float64) COMMENT 'answered_share - unanswered_share; it compares, it does not prove: who writes well is answered and stays; share, NULL when one is missing',
    difference_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Newcombe 1998, method 10); share, NULL when one is missing',
    difference_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (as the lower); share, NULL when one is missing'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    -- Copies of an event are equal, and only first times and whether at all are asked for: no FINAL.
    joined AS
    (
        SELECT j.community_id AS community_id, j.member_id AS member_id, j.joined_at AS joined_at
        FROM
        (
            SELECT community_id, member_id, min(occurred_at) AS joined_at
            FROM qunpulse_store.events
            WHERE event_type = 'join' AND action = 'joined' AND late = 0
            GROUP BY community_id, member_id
        ) AS j
        INNER JOIN
        (
            SELECT community_id, max(occurred_at) AS last_at
            FROM qunpulse_store.events
            WHERE late = 0
            GROUP BY community_id
        ) AS l ON l.community_id = j.community_id
        WHERE j.joined_at + INTERVAL 744 HOUR <= l.last_at
    ),
    newcomers AS
    (
        SELECT
            j.community_id AS community_id, j.member_id AS member_id, j.joined_at AS joined_at,
            min((m.occurred_at, m.event_id)) AS first_message
        FROM
        (
            SELECT community_id, member_id, occurred_at, event_id
            FROM qunpulse_store.events
            WHERE event_type = 'message' AND late = 0 AND sender_role NOT IN ('staff', 'bot') AND kind IN
                ('text', 'image', 'video', 'audio', 'file', 'link', 'sticker', 'mini_program', 'share', 'poll', 'other')
        ) AS m
        INNER JOIN joined AS j ON m.community_id = j.community_id AND m.member_id = j.member_id
        WHERE m.occurred_at >= j.joined_at AND m.occurred_at <= j.joined_at + INTERVAL 168 HOUR
        GROUP BY community_id, member_id, joined_at
    ),
    -- replies to the first message, or to the newcomer by name
    helped AS
    (
        SELECT
            n.community_id AS community_id, n.member_id AS member_id, n.joined_at AS joined_at,
            max(r.member_id != '' AND r.member_id != n.member_id AND r.occurred_at >= n.first_message.1
                AND r.occurred_at <= n.first_message.1 + INTERVAL 24 HOUR) AS is_answered
        FROM
        (
            SELECT *, arrayJoin([(1, first_message.2), (2, member_id)]) AS about
            FROM newcomers
        ) AS n
        LEFT JOIN
        (
            SELECT
                community_id, member_id, occurred_at,
                arrayJoin(arrayFilter(a -> a.2 != '', [(1, reply_to), (2, reply_to_member_id)])) AS about
            FROM qunpulse_store.events
            WHERE event_type = 'message' AND late = 0 AND (reply_to != '' OR reply_to_member_id != '')
        ) AS r ON r.community_id = n.community_id AND r.about = n.about
        GROUP BY community_id, member_id, joined_at
    ),
    judged AS
    (
        SELECT
            h.community_id AS community_id, h.member_id AS member_id, h.is_answered AS is_answered,
            max(s.starts_at <= h.joined_at + INTERVAL 720 HOUR AND ifNull(s.ends_at > h.joined_at + INTERVAL 720 HOUR, 1)) AS stayed
        FROM helped AS h
        INNER JOIN (SELECT * FROM qunpulse.memberships WHERE role NOT IN ('staff', 'bot')) AS s
            ON s.community_id = h.community_id AND s.member_id = h.member_id
        GROUP BY community_id, member_id, is_answered
    ),
    counts AS
    (
        SELECT
            community_id, count() AS newcomers, countIf(is_answered) AS answered, countIf(is_answered AND stayed) AS a_stayed,
            newcomers - answered AS unanswered, countIf(stayed) - a_stayed AS u_stayed, 3.84146 AS z2,
            if(answered = 0, NULL, a_stayed / answered) AS a, if(unanswered = 0, NULL, u_stayed / unanswered) AS u,
            sqrt(z2 * (a * (1 - a) + z2 / (4 * answered)) / answered) AS a_reach,
            sqrt(z2 * (u * (1 - u) + z2 / (4 * unanswered)) / unanswered) AS u_reach,
            if(a = 0, 0, (a + z2 / (2 * answered) - a_reach) / (1 + z2 / answered)) AS a_low,
            if(a = 1, 1, (a + z2 / (2 * answered) + a_reach) / (1 + z2 / answered)) AS a_high,
            if(u = 0, 0, (u + z2 / (2 * unanswered) - u_reach) / (1 + z2 / unanswered)) AS u_low,
            if(u = 1, 1, (u + z2 / (2 * unanswered) + u_reach) / (1 + z2 / unanswered)) AS u_high
        FROM judged
        GROUP BY community_id
    )
SELECT
    community_id, newcomers, answered, a_stayed AS answered_stayed, a AS answered_share,
    if(answered = 0, NULL, a_low) AS answered_low, if(answered = 0, NULL, a_high) AS answered_high,
    unanswered, u_stayed AS unanswered_stayed, u AS unanswered_share,
    if(unanswered = 0, NULL, u_low) AS unanswered_low, if(unanswered = 0, NULL, u_high) AS unanswered_high,
    a - u AS difference,
    difference - sqrt(pow(a - answered_low, 2) + pow(unanswered_high - u, 2)) AS difference_low,
    difference + sqrt(pow(answered_high - a, 2) + pow(u - unanswered_low, 2)) AS difference_high
FROM counts
COMMENT 'Newcomers whose first message was answered within a day against those whose was not: who stayed? A row per community with such newcomers. Times are UTC';
