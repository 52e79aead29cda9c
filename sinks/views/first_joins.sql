CREATE OR REPLACE VIEW qunpulse.first_joins
(
    community_id String COMMENT 'Community',
    member_id String COMMENT 'Member; staff and bots (by their latest role, and never counted as a member before) have no row',
    joined_at DateTime64(3, 'UTC') COMMENT 'When the member joined for the first time (UTC, milliseconds); who was only listed or seen has no row',
    join_date Date COMMENT 'Local day of that, D0 of retention (calendar date in the community''s time zone)',
    join_week Date COMMENT 'Monday of that local week',
    source String COMMENT 'Where from: source of that join (channel or QR code), else its via (invite, qr_code, link, search, ad, offline, import, unknown)',
    inviter_id String COMMENT 'Who invited, else empty'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    joined.community_id AS community_id, joined.member_id AS member_id, joined.occurred_at AS joined_at,
    calendar.local_date AS join_date, toMonday(join_date) AS join_week,
    if(joined.source != '', joined.source, toString(joined.via)) AS source, joined.inviter_id AS inviter_id
FROM
(
    SELECT community_id, member_id, occurred_at, source, via, inviter_id
    FROM qunpulse_store.events
    WHERE event_type = 'join' AND late = 0 AND action = 'joined'
    ORDER BY occurred_at, event_id
    LIMIT 1 BY community_id, member_id
) AS joined
INNER JOIN
(
    SELECT community_id, local_date, day, ends_at, arrayJoin([toDate(day), toDate(day) + 1]) AS utc_date
    FROM qunpulse.local_days
) AS calendar ON calendar.community_id = joined.community_id AND calendar.utc_date = toDate(joined.occurred_at)
INNER JOIN
(
    SELECT community_id, member_id, role, messages, interactions FROM qunpulse_store.members FINAL
) AS member ON member.community_id = joined.community_id AND member.member_id = joined.member_id
WHERE joined.occurred_at >= calendar.day AND ifNull(joined.occurred_at < calendar.ends_at, 1)
    AND NOT (member.role IN ('staff', 'bot') AND member.messages + member.interactions = 0)
COMMENT 'First time each member joined; a row per community and member with a joined event. Times are UTC; dates are the community''s own';
