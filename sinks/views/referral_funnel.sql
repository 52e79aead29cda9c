-- Only communities with referrals are read from the large tables, by their key. What a referee did counts in the
-- community of its linked edge and from joining on, so every step is a part of the one before.
CREATE OR REPLACE VIEW qunpulse.referral_funnel
(
    campaign_id String COMMENT 'Campaign; organic:<community> for invitations that name none',
    invited UInt64 COMMENT 'Referees of linked edges, each once; count',
    joined UInt64 COMMENT 'Of these, with a join event in the community of the edge no earlier than 10 minutes before it (connectors report a join and its invitation in either order); count',
    active UInt64 COMMENT 'Of these, with a day of member_days with a message, an interaction or a paid order that ends at or after joining; count',
    bought UInt64 COMMENT 'Of these, with a paid order at or after joining; count',
    joined_rate Nullable(Float64) COMMENT 'joined / invited; a ratio of counts; NULL without invited',
    active_rate Nullable(Float64) COMMENT 'active / joined; a ratio of counts; NULL without joined',
    bought_rate Nullable(Float64) COMMENT 'bought / active; a ratio of counts; NULL without active',
    bought_of_invited_rate Nullable(Float64) COMMENT 'bought / invited, the whole way; a ratio of counts; NULL without invited',
    median_hours_to_join Nullable(Float64) COMMENT 'Median time from the edge to the first such join, 0 where the join came before; hours; NULL without joined',
    median_hours_to_active Nullable(Float64) COMMENT 'Median time from that join to first_at of the first such day, 0 where that day began before the join; hours; NULL without active',
    median_hours_to_buy Nullable(Float64) COMMENT 'Median time from being active to the first such order; hours; NULL without bought'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    -- copies of an event are equal, and only first times are asked for: no FINAL on events
    edges AS
    (
        SELECT campaign_id, referee_id, community_id, occurred_at AS invited_at
        FROM qunpulse_store.referral_edges FINAL
        WHERE state = 'linked'
    ),
    came AS
    (
        SELECT
            edges.campaign_id AS campaign_id, edges.referee_id AS referee_id, edges.community_id AS community_id, invited_at,
            arrayFilter(at -> at >= invited_at - INTERVAL 10 MINUTE, join_times) AS joins,
            if(empty(joins), NULL, arrayMin(joins)) AS joined_at
        FROM edges
        LEFT JOIN
        (
            SELECT community_id, member_id, groupArray(occurred_at) AS join_times
            FROM qunpulse_store.events
            WHERE event_type = 'join' AND late = 0 AND action = 'joined'
                AND community_id IN (SELECT community_id FROM edges)
            GROUP BY community_id, member_id
        ) AS joining ON joining.community_id = edges.community_id AND joining.member_id = edges.referee_id
    ),
    steps AS
    (
        SELECT campaign_id, referee_id, invited_at, joined_at, NULL AS active_at, NULL AS bought_at FROM came
        UNION ALL
        SELECT came.campaign_id, came.referee_id, NULL, NULL, greatest(first_at, assumeNotNull(came.joined_at)), NULL
        FROM
        (
            SELECT community_id, member_id, first_at, last_at
            FROM qunpulse_store.member_days FINAL
            WHERE messages + interactions + orders > 0 AND community_id IN (SELECT community_id FROM edges)
        ) AS days
        INNER JOIN came ON came.community_id = days.community_id AND came.referee_id = days.member_id
        WHERE last_at >= came.joined_at
        UNION ALL
        SELECT came.campaign_id, came.referee_id, NULL, NULL, NULL, occurred_at
        FROM
        (
            SELECT community_id, member_id, occurred_at
            FROM qunpulse_store.events
            WHERE event_type = 'order' AND late = 0 AND status = 'paid'
                AND community_id IN (SELECT community_id FROM edges)
        ) AS orders
        INNER JOIN came ON came.community_id = orders.community_id AND came.referee_id = orders.member_id
        WHERE occurred_at >= came.joined_at
    ),
    people AS
    (
        SELECT
            campaign_id, referee_id, min(invited_at) AS invited, min(joined_at) AS joined, min(active_at) AS active,
            min(bought_at) AS bought
        FROM steps
        GROUP BY campaign_id, referee_id
    ),
    counted AS
    (
        SELECT
            campaign_id, count() AS all_invited, count(joined) AS all_joined, count(active) AS all_active,
            count(bought) AS all_bought,
            -- greatest() passes over a NULL, which would make all who never joined quick
            quantileExactInclusiveOrNull(0.5)
                (if(joined IS NULL, NULL, greatest(dateDiff('millisecond', invited, joined), 0))) AS to_join,
            quantileExactInclusiveOrNull(0.5)(dateDiff('millisecond', joined, active)) AS to_active,
            quantileExactInclusiveOrNull(0.5)(dateDiff('millisecond', active, bought)) AS to_buy
        FROM people
        GROUP BY campaign_id
    )
SELECT
    campaign_id, all_invited AS invited, all_joined AS joined, all_active AS active, all_bought AS bought,
    all_joined / nullIf(all_invited, 0) AS joined_rate, all_active / nullIf(all_joined, 0) AS active_rate,
    all_bought / nullIf(all_active, 0) AS bought_rate, all_bought / nullIf(all_invited, 0) AS bought_of_invited_rate,
    to_join / 3600000 AS median_hours_to_join, to_active / 3600000 AS median_hours_to_active,
    to_buy / 3600000 AS median_hours_to_buy
FROM counted
COMMENT 'From invitation to purchase, per campaign: invited, joined, active, bought, and how long each step took; a row per campaign with a linked edge. Times are UTC';
