CREATE OR REPLACE VIEW qunpulse.effort_participants
(
    community_id String COMMENT 'Community',
    effort_id String COMMENT 'Campaign or event, see efforts',
    kind LowCardinality(String) COMMENT 'campaign, or the kind of the event',
    member_id String COMMENT 'Member (staff and bots left out)',
    first_at DateTime64(3, 'UTC') COMMENT 'First part in it (UTC, milliseconds)',
    took_part UInt8 COMMENT '1 with a message, an interaction, a paid order or a referral in it, 0 for somebody who only joined by it or during it',
    is_new UInt8 COMMENT '1 when the member joined the community by it (campaign) or during it (event), else 0',
    retained_30d Nullable(UInt8) COMMENT 'New members: 1 when still on the roster 30 days after joining, 0 when not; NULL for others and while the 30 days (720 hours) are not over in the community'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    -- Copies of an event are equal, and only first times and whether at all are asked for: no FINAL.
    acts AS
    (
        SELECT community_id, member_id, occurred_at, campaign_id, event_type = 'join' AS is_join
        FROM qunpulse_store.events
        WHERE late = 0 AND member_id != ''
            AND (event_type = 'message' AND sender_role NOT IN ('staff', 'bot')
                OR event_type = 'order' AND status = 'paid'
                OR event_type = 'join' AND action = 'joined' AND role NOT IN ('staff', 'bot')
                OR event_type = 'referral')
    ),
    taken AS
    (
        SELECT community_id, member_id, occurred_at, is_join, campaign_id AS effort_id, 'campaign' AS kind
        FROM acts
        WHERE campaign_id != ''
        UNION ALL
        -- by date, so that an act meets only the events of its day
        SELECT a.community_id, a.member_id, a.occurred_at, a.is_join, s.span_id, s.span_kind
        FROM acts AS a
        INNER JOIN
        (
            SELECT
                community_id, span_id, toString(kind) AS span_kind, starts_at, ends_at,
                arrayJoin(range(toUInt32(toDate(starts_at)), toUInt32(toDate(ends_at)) + 1)) AS span_day
            FROM qunpulse_store.event_spans FINAL
        ) AS s ON s.community_id = a.community_id AND s.span_day = toUInt32(toDate(a.occurred_at))
        WHERE a.occurred_at >= s.starts_at AND a.occurred_at < s.ends_at
    ),
    members AS
    (
        SELECT
            community_id, effort_id, kind, member_id, min(occurred_at) AS first_at, max(NOT is_join) AS took_part,
            max(is_join) AS is_new, maxIf(occurred_at, is_join) AS new_at
        FROM taken
        GROUP BY community_id, effort_id, kind, member_id
    )
SELECT
    m.community_id AS community_id, m.effort_id AS effort_id, m.kind AS kind, m.member_id AS member_id,
    m.first_at AS first_at, m.took_part AS took_part, m.is_new AS is_new,
    if(m.is_new AND m.new_at + INTERVAL 720 HOUR <= l.last_at,
        arrayExists(s -> s.1 <= m.new_at + INTERVAL 720 HOUR AND ifNull(s.2 > m.new_at + INTERVAL 720 HOUR, 1), r.stays),
        NULL) AS retained_30d
FROM members AS m
LEFT JOIN
(
    SELECT community_id, member_id, groupArray((starts_at, ends_at)) AS stays
    FROM qunpulse.memberships
    GROUP BY community_id, member_id
) AS r ON r.community_id = m.community_id AND r.member_id = m.member_id
INNER JOIN
(
    SELECT community_id, max(occurred_at) AS last_at
    FROM qunpulse_store.events
    WHERE late = 0
    GROUP BY community_id
) AS l ON l.community_id = m.community_id
COMMENT 'Who took part in which campaign or event, or joined by it: a row per community, effort and member. Times are UTC';
