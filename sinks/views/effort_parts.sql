-- What effort_participants and effort_orders both stand on: orders need no stays of members, which take as long again.
CREATE OR REPLACE VIEW qunpulse.effort_parts
(
    community_id String COMMENT 'Community',
    effort_id String COMMENT 'Campaign or event, see efforts',
    kind LowCardinality(String) COMMENT 'campaign, or the kind of the event',
    member_id String COMMENT 'Member (staff and bots left out)',
    first_at DateTime64(3, 'UTC') COMMENT 'First part in it (UTC, milliseconds)',
    took_part UInt8 COMMENT '1 with a message, an interaction, a paid order or a referral in it, 0 for somebody who only joined by it or during it',
    joined_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the member joined the community by it (campaign) or during it (event), the last time if it happened more than once (UTC, milliseconds); NULL for others'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    spans AS
    (
        SELECT
            community_id, toDate(arrayJoin(range(toUInt32(toDate(starts_at)), toUInt32(toDate(ends_at)) + 1))) AS date,
            span_id, toString(kind) AS span_kind, starts_at, ends_at
        FROM qunpulse_store.event_spans FINAL
    ),
    -- Copies of an event are equal, and only first times and whether at all are asked for: no FINAL. All events are
    -- read once: most carry no campaign and fall on no date of an event, and go no further.
    acts AS
    (
        SELECT community_id, member_id, occurred_at, toDate(occurred_at) AS date, campaign_id, event_type = 'join' AS is_join
        FROM qunpulse_store.events
        WHERE (campaign_id != '' OR toDate(occurred_at) IN (SELECT date FROM spans)) AND late = 0 AND member_id != ''
            AND (event_type = 'message' AND sender_role NOT IN ('staff', 'bot')
                OR event_type = 'order' AND status = 'paid'
                OR event_type = 'join' AND action = 'joined' AND role NOT IN ('staff', 'bot')
                OR event_type = 'referral')
    ),
    taken AS
    (
        SELECT
            a.community_id AS community_id, a.member_id AS member_id, a.occurred_at AS occurred_at, a.is_join AS is_join,
            effort.1 AS effort_id, effort.2 AS kind
        FROM acts AS a
        LEFT JOIN
        (
            SELECT community_id, date, groupArray((span_id, span_kind, starts_at, ends_at)) AS on_date
            FROM spans
            GROUP BY community_id, date
        ) AS s ON s.community_id = a.community_id AND s.date = a.date
        ARRAY JOIN arrayConcat
        (
            arrayFilter(carried -> carried.1 != '', [(a.campaign_id, 'campaign')]),
            arrayMap(span -> (span.1, span.2), arrayFilter(span -> a.occurred_at >= span.3 AND a.occurred_at < span.4, s.on_date))
        ) AS effort
    )
SELECT
    community_id, effort_id, kind, member_id, min(occurred_at) AS first_at, max(NOT is_join) AS took_part,
    maxOrNullIf(occurred_at, is_join) AS joined_at
FROM taken
GROUP BY community_id, effort_id, kind, member_id
COMMENT 'What members did in a campaign or event, in short: a row per community, effort and member. Times are UTC';
