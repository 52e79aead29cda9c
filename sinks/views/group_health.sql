CREATE OR REPLACE VIEW qunpulse.group_health
(
    community_id String COMMENT 'Community',
    last_date Date COMMENT 'Last local day of the community with a figure; the 30 local days that end with it are looked at',
    members UInt64 COMMENT 'Members on the roster now (staff and bots left out); members',
    speakers UInt64 COMMENT 'Distinct members with a message in these days; count',
    speaker_share Nullable(Float64) COMMENT 'Members on the roster now who spoke in these days ÷ members; share, NULL without members',
    messages UInt64 COMMENT 'Messages of speaking kinds by members; count',
    staff_messages UInt64 COMMENT 'Messages of speaking kinds by staff and bots; count',
    promotion_share Nullable(Float64) COMMENT 'Promotions ÷ messages of speaking kinds, by anybody, staff and bots included; share, NULL without messages',
    link_share Nullable(Float64) COMMENT 'Messages of kind link ÷ messages of speaking kinds, by anybody; share, NULL without messages',
    flood_minutes UInt64 COMMENT 'Minutes in which one member posted 6 messages or more; count',
    zombie_score Nullable(Float64) COMMENT '100 × (½ × (1 - speaker_share) + ½ × promotion_share), a group where nobody but promoters talks has 100; score from 0 to 100, NULL without members or messages',
    questions UInt64 COMMENT 'Questions of members in these days, asked 24 hours or more before the community''s last event; count',
    unanswered_questions UInt64 COMMENT 'Of these, without a reply (reply_to) by somebody else within 24 hours; count',
    unanswered_share Nullable(Float64) COMMENT 'unanswered_questions ÷ questions; share, NULL without questions or where no message of these days says what it replies to',
    joins UInt64 COMMENT 'Joinings in these days; count',
    leaves UInt64 COMMENT 'Leavings (left, removed, gone) in these days; count',
    growth Int64 COMMENT 'joins - leaves; members',
    orders UInt64 COMMENT 'Paid orders in these days, each order_id once; count',
    coupon_claims UInt64 COMMENT 'Coupons claimed (interactions coupon_claim) by members in these days; count',
    coupon_orders UInt64 COMMENT 'Of the orders, those with a coupon; count'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    spans AS
    (
        SELECT community_id, min(day) AS from_at, max(local_date) AS last_date
        FROM
        (
            SELECT community_id, local_date, day, max(local_date) OVER (PARTITION BY community_id) AS last_day
            FROM qunpulse_store.community_days FINAL
        )
        WHERE local_date > last_day - 30
        GROUP BY community_id
    ),
    recent AS
    (
        SELECT
            e.community_id AS community_id, e.event_type AS event_type, e.event_id AS event_id, e.occurred_at AS at,
            e.member_id AS member_id, e.sender_role AS sender_role, e.kind AS kind, e.reply_to AS reply_to,
            e.is_question AS is_question, e.is_promotion AS is_promotion, e.action AS action, e.order_id AS order_id,
            e.status AS status, e.coupon_codes AS coupon_codes, s.last_date AS last_date
        FROM
        (
            SELECT
                community_id, event_type, event_id, occurred_at, member_id, sender_role, kind, reply_to, is_question,
                is_promotion, action, order_id, status, coupon_codes
            FROM qunpulse_store.events FINAL
            WHERE late = 0
        ) AS e
        INNER JOIN spans AS s ON s.community_id = e.community_id
        WHERE e.occurred_at >= s.from_at
    ),
    -- one row per event, and one more per reply under the message it replies to
    acts AS
    (
        SELECT
            community_id, member_id, at, kind, is_promotion, action, order_id, status, notEmpty(coupon_codes) AS with_coupon,
            sender_role IN ('staff', 'bot') AS of_staff, last_date,
            arrayJoin(multiIf(event_type != 'message', [('', 1)], reply_to = '', [(event_id, 1)],
                [(event_id, 1), (reply_to, 0)])) AS subject,
            subject.1 AS topic, subject.2 AS own, own AND event_type = 'message' AND kind IN
                ('text', 'image', 'video', 'audio', 'file', 'link', 'sticker', 'mini_program', 'share', 'poll', 'other') AS speaks,
            speaks AND NOT of_staff AND ifNull(is_question, 0) AS asks
        FROM recent
    ),
    followed AS
    (
        SELECT
            community_id, member_id, at, kind, is_promotion, action, order_id, status, with_coupon, of_staff, last_date, topic,
            own, speaks, asks, max(at) OVER (PARTITION BY community_id) AS last_at,
            maxIf(at, asks) OVER topics AS asked_at, maxIf(member_id, asks) OVER topics AS asker,
            row_number() OVER (PARTITION BY community_id, speaks AND NOT of_staff, member_id, toStartOfMinute(at) ORDER BY at) AS nth
        FROM acts
        WINDOW topics AS (PARTITION BY community_id, topic)
    ),
    by_member AS
    (
        SELECT
            community_id, member_id, max(f.last_date) AS last_date, max(is_there) AS there, countIf(speaks AND NOT of_staff) AS messages,
            countIf(speaks AND of_staff) AS staff_messages, countIf(speaks AND is_promotion) AS promotions,
            countIf(speaks AND kind = 'link') AS links, countIf(speaks AND NOT of_staff AND nth = 6) AS flood_minutes,
            countIf(asks AND at <= last_at - INTERVAL 24 HOUR) AS questions,
            groupUniqArrayIf(topic, NOT own AND asker != '' AND member_id != asker AND at BETWEEN asked_at
                AND asked_at + INTERVAL 24 HOUR AND asked_at <= last_at - INTERVAL 24 HOUR) AS answered,
            countIf(own AND action = 'joined') AS joins, countIf(own AND action IN ('left', 'removed', 'gone')) AS leaves,
            groupUniqArrayIf(order_id, own AND status = 'paid') AS orders,
            groupUniqArrayIf(order_id, own AND status = 'paid' AND with_coupon) AS coupon_orders,
            countIf(own AND kind = 'coupon_claim' AND NOT of_staff) AS coupon_claims, max(NOT own) AS tells_replies
        FROM
        (
            SELECT *, 0 AS is_there
            FROM followed
            UNION ALL
            SELECT
                community_id, member_id, toDateTime64(0, 3, 'UTC'), '', 0, '', '', '', 0, 0, toDate(0), '', 1, 0, 0,
                toDateTime64(0, 3, 'UTC'), toDateTime64(0, 3, 'UTC'), '', 0, 1
            FROM qunpulse.memberships
            WHERE ends_at IS NULL AND role NOT IN ('staff', 'bot')
        ) AS f
        GROUP BY community_id, member_id
    ),
    figures AS
    (
        SELECT
            community_id, max(m.last_date) AS last_date, countIf(m.there) AS members, countIf(m.messages > 0) AS speakers,
            countIf(m.messages > 0 AND m.there) AS speakers_there, sum(m.messages) AS messages,
            sum(m.staff_messages) AS staff_messages, sum(m.promotions) AS promotions, sum(m.links) AS links,
            sum(m.flood_minutes) AS flood_minutes, sum(m.questions) AS questions,
            questions - length(groupUniqArrayArray(m.answered)) AS unanswered_questions, sum(m.joins) AS joins, sum(m.leaves) AS leaves,
            length(groupUniqArrayArray(m.orders)) AS orders, length(groupUniqArrayArray(m.coupon_orders)) AS coupon_orders,
            sum(m.coupon_claims) AS coupon_claims, max(m.tells_replies) AS tells_replies
        FROM by_member AS m
        GROUP BY community_id
        HAVING last_date > toDate(0)
    )
SELECT
    community_id, last_date, members, speakers, if(members = 0, NULL, speakers_there / members) AS speaker_share, messages,
    staff_messages,
    if(messages + staff_messages = 0, NULL, promotions / (messages + staff_messages)) AS promotion_share,
    if(messages + staff_messages = 0, NULL, links / (messages + staff_messages)) AS link_share,
    flood_minutes, 50 * (1 - speaker_share) + 50 * promotion_share AS zombie_score, questions,
    toUInt64(unanswered_questions) AS unanswered_questions,
    if(questions = 0 OR NOT tells_replies, NULL, unanswered_questions / questions) AS unanswered_share, joins, leaves,
    toInt64(joins) - leaves AS growth, orders, coupon_claims, coupon_orders
FROM figures
COMMENT 'How each community is, in the 30 local days that end with its last day with a figure; a row per community. Times are UTC';
