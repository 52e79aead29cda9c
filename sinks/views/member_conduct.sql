CREATE OR REPLACE VIEW qunpulse.member_conduct
(
    community_id String COMMENT 'Community',
    member_id String COMMENT 'Member',
    messages UInt64 COMMENT 'Messages of speaking kinds in the last 30 local days of the community; count',
    links UInt64 COMMENT 'Of these, of kind link; count',
    link_share Float64 COMMENT 'links ÷ messages; share',
    promotions UInt64 COMMENT 'Of these, promotions; count',
    promotion_share Float64 COMMENT 'promotions ÷ messages; share',
    flood_minutes UInt64 COMMENT 'Minutes (UTC) in which the member posted 6 messages or more; count',
    most_in_a_minute UInt64 COMMENT 'Most messages in one minute (UTC); count',
    share_of_talk Float64 COMMENT 'messages ÷ those of all members; share'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    spans AS
    (
        SELECT community_id, min(day) AS from_at
        FROM
        (
            SELECT community_id, local_date, day, max(local_date) OVER (PARTITION BY community_id) AS last_date
            FROM qunpulse_store.community_days FINAL
        )
        WHERE local_date > last_date - 30
        GROUP BY community_id
    ),
    minutes AS
    (
        SELECT
            e.community_id AS community_id, e.member_id AS member_id, toStartOfMinute(e.occurred_at) AS minute,
            count() AS posted, countIf(e.kind = 'link') AS linked, countIf(e.is_promotion) AS promoted
        FROM
        (
            SELECT community_id, member_id, occurred_at, kind, is_promotion
            FROM qunpulse_store.events FINAL
            WHERE event_type = 'message' AND late = 0 AND sender_role NOT IN ('staff', 'bot')
                AND kind IN ('text', 'image', 'video', 'audio', 'file', 'link', 'sticker', 'mini_program', 'share', 'poll', 'other')
        ) AS e
        INNER JOIN spans AS s ON s.community_id = e.community_id
        WHERE e.occurred_at >= s.from_at
        GROUP BY community_id, member_id, minute
    )
SELECT
    community_id, member_id, sum(posted) AS messages, sum(linked) AS links, links / messages AS link_share,
    sum(promoted) AS promotions, promotions / messages AS promotion_share, countIf(posted >= 6) AS flood_minutes,
    max(posted) AS most_in_a_minute, messages / sum(messages) OVER (PARTITION BY community_id) AS share_of_talk
FROM minutes
GROUP BY community_id, member_id
COMMENT 'How members behave who speak: links, promotions, flooding, in the 30 local days that end with the community''s last day with a figure; a row per community and member (staff and bots left out). Times are UTC';
