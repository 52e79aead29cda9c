CREATE OR REPLACE VIEW qunpulse.effort_quits
(
    community_id String COMMENT 'Community',
    effort_id String COMMENT 'Campaign or event, see efforts',
    kind LowCardinality(String) COMMENT 'campaign, or the kind of the event',
    member_id String COMMENT 'Member who quit: left or gone, not removed (staff and bots left out)',
    quit_at DateTime64(3, 'UTC') COMMENT 'When, the first time if it happened more than once (UTC, milliseconds)'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    -- spans of time after a message that carries the campaign, or from the beginning of an event, as [since, until)
    wakes AS
    (
        -- copies of an event have the same time: no FINAL
        SELECT DISTINCT
            community_id, campaign_id AS effort_id, 'campaign' AS kind, occurred_at + INTERVAL 1 MILLISECOND AS since,
            since + INTERVAL 24 HOUR AS until
        FROM qunpulse_store.events
        WHERE event_type = 'message' AND campaign_id != '' AND late = 0
        UNION ALL
        SELECT community_id, span_id, toString(kind), toDateTime64(starts_at, 3, 'UTC'), toDateTime64(ends_at, 3, 'UTC') + INTERVAL 24 HOUR
        FROM qunpulse_store.event_spans FINAL
    )
SELECT
    q.community_id AS community_id, w.effort_id AS effort_id, w.kind AS kind, q.member_id AS member_id, min(q.at) AS quit_at
FROM
(
    SELECT community_id, member_id, assumeNotNull(ends_at) AS at, toUInt32(toDate(at)) AS date
    FROM qunpulse.memberships
    WHERE quit AND role NOT IN ('staff', 'bot')
) AS q
INNER JOIN
(
    -- by date, so that who quits meets only what is near
    SELECT *, arrayJoin(range(toUInt32(toDate(since)), toUInt32(toDate(until)) + 1)) AS date
    FROM wakes
) AS w ON w.community_id = q.community_id AND w.date = q.date
WHERE q.at >= w.since AND q.at < w.until
GROUP BY community_id, effort_id, kind, member_id
COMMENT 'Who quit during an event or within 24 hours of its end, or within 24 hours of a message that carries a campaign: a row per community, effort and member. Times are UTC';
