CREATE OR REPLACE VIEW qunpulse.diagnosis
(
    community_id String COMMENT 'Community',
    name String COMMENT 'Name by the rules file; the id if it has none',
    diagnosis String COMMENT 'The community in words, from the figures beside it: how it grows, who speaks, and what is wrong',
    findings Array(String) COMMENT 'The same as short words: shrinking, stalled, few_speakers, promotions_dominate, questions_unanswered, flooded, full_of_links, coupons_idle; empty for a healthy community',
    zombie_score Nullable(Float64) COMMENT 'See group_health; score from 0 to 100, NULL without members or messages',
    members UInt64 COMMENT 'Members on the roster now; members',
    growth_share Nullable(Float64) COMMENT 'Joins - leaves of the last 30 local days ÷ members at their beginning (at least 1); share, NULL without members',
    speaker_share Nullable(Float64) COMMENT 'Members on the roster who spoke in 30 local days ÷ members; few below 0.05; share, NULL without members',
    promotion_share Nullable(Float64) COMMENT 'Promotions ÷ messages by anybody; they dominate from 0.3 on; share, NULL without messages',
    unanswered_share Nullable(Float64) COMMENT 'Questions without a reply within 24 hours; too many from 0.5 on, with 5 questions or more; share, NULL where it cannot be told',
    link_share Nullable(Float64) COMMENT 'Links ÷ messages by anybody; too many from 0.3 on; share, NULL without messages',
    flood_minutes UInt64 COMMENT 'Minutes in which one member posted 6 messages or more; flooded from 10 on; count',
    coupon_share Nullable(Float64) COMMENT 'Orders with a coupon ÷ coupons claimed; idle below 0.1, with 10 claims or more; ratio, NULL without claims'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    figures AS
    (
        SELECT
            h.community_id AS community_id, h.members AS members, h.growth AS growth, h.messages AS messages,
            h.zombie_score AS zombie_score, h.speaker_share AS speaker_share, h.promotion_share AS promotion_share,
            h.unanswered_share AS unanswered_share, h.link_share AS link_share, h.flood_minutes AS flood_minutes,
            h.questions AS questions, h.coupon_claims AS coupon_claims, h.coupon_orders AS coupon_orders, c.name AS given_name,
            if(members = 0, NULL, growth / greatest(1, members - growth)) AS growth_share,
            if(coupon_claims = 0, NULL, coupon_orders / coupon_claims) AS coupon_share,
            arrayFilter(word -> word != '',
            [
                multiIf(members = 0 OR growth > greatest(0, 0.02 * (members - growth)), '', growth < 0, 'shrinking', 'stalled'),
                if(ifNull(speaker_share < 0.05, 0), 'few_speakers', ''),
                if(ifNull(promotion_share >= 0.3, 0), 'promotions_dominate', ''),
                if(questions >= 5 AND ifNull(unanswered_share >= 0.5, 0), 'questions_unanswered', ''),
                if(flood_minutes >= 10, 'flooded', ''),
                if(ifNull(link_share >= 0.3, 0), 'full_of_links', ''),
                if(coupon_claims >= 10 AND ifNull(coupon_share < 0.1, 0), 'coupons_idle', '')
            ]) AS findings
        FROM qunpulse.group_health AS h
        LEFT JOIN (SELECT community_id, name FROM qunpulse.communities) AS c ON c.community_id = h.community_id
    )
SELECT
    community_id, if(given_name = '', community_id, given_name) AS name,
    if(members = 0, 'nobody is on the roster', arrayStringConcat(arrayFilter(words -> words != '',
    [
        multiIf(
            growth < 0, concat('shrinks (', toString(growth), ' members in 30 days)'),
            growth = 0, 'does not grow',
            has(findings, 'stalled'), concat('grows slowly (+', toString(growth), ' in 30 days)'),
            concat('grows (+', toString(growth), ' in 30 days)')),
        multiIf(
            messages = 0, 'nobody speaks',
            has(findings, 'few_speakers'), concat('few speak (', toString(round(100 * speaker_share, 1)), ' %)'),
            concat(toString(round(100 * speaker_share)), ' % speak')),
        if(has(findings, 'promotions_dominate'),
            concat('promotions dominate (', toString(round(100 * promotion_share)), ' % of messages)'), ''),
        if(has(findings, 'questions_unanswered'),
            concat('questions stay unanswered (', toString(round(100 * unanswered_share)), ' %)'), ''),
        if(has(findings, 'flooded'), concat('some flood it (', toString(flood_minutes), ' minutes)'), ''),
        if(has(findings, 'full_of_links'), concat('full of links (', toString(round(100 * link_share)), ' %)'), ''),
        if(has(findings, 'coupons_idle'), concat('coupons do not move them (', toString(coupon_orders), ' orders on ',
            toString(coupon_claims), ' claims)'), '')
    ]), ', ')) AS diagnosis,
    findings, zombie_score, members, growth_share, speaker_share, promotion_share, unanswered_share, link_share,
    flood_minutes, coupon_share
FROM figures
COMMENT 'One sentence per community that says how it is, with the figures behind it, of the 30 local days that end with its last day with a figure. Times are UTC';
