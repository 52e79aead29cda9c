-- Orders and quits that follow are counted in the list of those of the post's day and the next (UTC): two days hold all
-- 24 hours, whatever the time of the post.
CREATE OR REPLACE VIEW qunpulse.content_effect
(
    community_id String COMMENT 'Community',
    kind LowCardinality(String) COMMENT 'Kind of the message (text, image, link, …)',
    label String COMMENT 'Label of the message; empty: all messages of the kind, with whatever labels',
    by_staff UInt8 COMMENT '1 for messages of staff and bots, 0 for those of members',
    posts UInt64 COMMENT 'Messages of speaking kinds 24 hours or more before the community''s last event; count',
    replies UInt64 COMMENT 'Replies to them (reply_to) by anybody but their authors, whenever; count',
    reactions UInt64 COMMENT 'Reactions to them (kind reaction, by reply_to or object_id) by anybody but their authors, whenever; count',
    orders_24h UInt64 COMMENT 'Paid orders in the community within 24 hours of each post; an order after several posts counts for each; count',
    quits_24h UInt64 COMMENT 'Quits (left or gone, staff and bots left out) in the community within 24 hours of each post, counted as the orders; count',
    replies_per_post Float64 COMMENT 'replies ÷ posts; ratio',
    reactions_per_post Float64 COMMENT 'reactions ÷ posts; ratio',
    orders_per_post Float64 COMMENT 'orders_24h ÷ posts: compare it with the other rows of the community, what came by chance is in all of them; ratio',
    quits_per_post Float64 COMMENT 'quits_24h ÷ posts, to be compared likewise; ratio'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    happenings AS
    (
        SELECT
            community_id, arrayJoin([toDate(at), toDate(at) - 1]) AS date, groupArrayIf(at, is_order) AS paid_at,
            groupArrayIf(at, NOT is_order) AS quit_at
        FROM
        (
            SELECT community_id, occurred_at AS at, 1 AS is_order
            FROM qunpulse_store.events FINAL
            WHERE event_type = 'order' AND status = 'paid' AND late = 0
            UNION ALL
            SELECT community_id, assumeNotNull(ends_at), 0
            FROM qunpulse.memberships
            WHERE quit AND role NOT IN ('staff', 'bot')
        )
        GROUP BY community_id, date
    ),
    -- replies and reactions by the message they are about; copies of an event count once
    answers AS
    (
        SELECT community_id, about, groupUniqArray((member_id, kind = 'reaction', event_id)) AS by
        FROM
        (
            SELECT
                community_id, event_id, member_id, kind,
                multiIf(reply_to != '' AND kind IN ('text', 'image', 'video', 'audio', 'file', 'link', 'sticker',
                    'mini_program', 'share', 'poll', 'other', 'reaction'), reply_to, kind = 'reaction', object_id, '') AS about
            FROM qunpulse_store.events
            WHERE event_type = 'message' AND late = 0 AND (reply_to != '' OR kind = 'reaction')
        )
        WHERE about != ''
        GROUP BY community_id, about
    ),
    posts AS
    (
        SELECT
            m.community_id AS community_id, m.kind AS kind, m.labels AS labels, m.by_staff AS by_staff,
            arrayCount(b -> b.1 != m.member_id AND NOT b.2, a.by) AS reply_count,
            arrayCount(b -> b.1 != m.member_id AND b.2, a.by) AS reaction_count,
            arrayCount(at -> at > m.occurred_at AND at <= m.occurred_at + INTERVAL 24 HOUR, h.paid_at) AS order_count,
            arrayCount(at -> at > m.occurred_at AND at <= m.occurred_at + INTERVAL 24 HOUR, h.quit_at) AS quit_count
        FROM
        (
            SELECT
                community_id, event_id, occurred_at, member_id, kind, labels, sender_role IN ('staff', 'bot') AS by_staff
            FROM qunpulse_store.events FINAL
            WHERE event_type = 'message' AND late = 0 AND kind IN
                ('text', 'image', 'video', 'audio', 'file', 'link', 'sticker', 'mini_program', 'share', 'poll', 'other')
        ) AS m
        INNER JOIN
        (
            SELECT community_id, max(occurred_at) AS last_at
            FROM qunpulse_store.events
            WHERE late = 0
            GROUP BY community_id
        ) AS l ON l.community_id = m.community_id
        LEFT JOIN happenings AS h ON h.community_id = m.community_id AND h.date = toDate(m.occurred_at)
        LEFT JOIN answers AS a ON a.community_id = m.community_id AND a.about = m.event_id
        WHERE m.occurred_at + INTERVAL 24 HOUR <= l.last_at
    )
SELECT
    community_id, kind, arrayJoin(arrayDistinct(arrayPushBack(labels, ''))) AS label, by_staff, count() AS posts,
    sum(reply_count) AS replies, sum(reaction_count) AS reactions, sum(order_count) AS orders_24h, sum(quit_count) AS quits_24h,
    replies / posts AS replies_per_post, reactions / posts AS reactions_per_post, orders_24h / posts AS orders_per_post,
    quits_24h / posts AS quits_per_post
FROM posts
GROUP BY community_id, kind, label, by_staff
COMMENT 'What follows messages, by kind and label: replies, reactions, orders and quits; a row per community, kind, label and whether staff posted. Times are UTC';
