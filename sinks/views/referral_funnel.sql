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
    edges AS
    (
        SELECT campaign_id, referee_id, community_id, occurred_at AS invited_at
        FROM qunpulse_store.referral_edges FINAL
        WHERE state = 'linked'
    ),
    -- What is known of each referee. A condition on the campaign does not reach the large tables, but it does reach the edges
    -- on the right of each join: nothing is kept of all other members.
    -- Copies of an event are equal, and only first times are asked for: no FINAL on events. Of a day the latest version counts:
    -- argMax of the few that are joined, for FINAL would merge everybody's.
    told AS
    (
        SELECT campaign_id, referee_id, community_id, invited_at, [] AS joins, [] AS days, [] AS orders
        FROM edges
        UNION ALL
        SELECT e.campaign_id, e.referee_id, e.community_id, e.invited_at, [j.occurred_at], [], []
        FROM
        (
            SELECT community_id, member_id, occurred_at
            FROM qunpulse_store.events
            WHERE event_type = 'join' AND late = 0 AND action = 'joined'
                AND community_id IN (SELECT community_id FROM edges)
        ) AS j
        INNER JOIN edges AS e ON e.community_id = j.community_id AND e.referee_id = j.member_id
        UNION ALL
        SELECT campaign_id, referee_id, community_id, invited_at, [], [(argMax(from_at, version), argMax(to_at, version))], []
        FROM
        (
            SELECT
                e.campaign_id AS campaign_id, e.referee_id AS referee_id, e.community_id AS community_id, e.invited_at AS invited_at,
                d.day AS day, d.version AS version, d.acts AS acts, d.first_at AS from_at, d.last_at AS to_at
            FROM
            (
                SELECT community_id, member_id, day, version, messages + interactions + orders AS acts, first_at, last_at
                FROM qunpulse_store.member_days
                WHERE community_id IN (SELECT community_id FROM edges)
            ) AS d
            INNER JOIN edges AS e ON e.community_id = d.community_id AND e.referee_id = d.member_id
        )
        GROUP BY campaign_id, referee_id, community_id, invited_at, day
        HAVING argMax(acts, version) > 0
        UNION ALL
        SELECT e.campaign_id, e.referee_id, e.community_id, e.invited_at, [], [], [o.occurred_at]
        FROM
        (
            SELECT community_id, member_id, occurred_at
            FROM qunpulse_store.events
            WHERE event_type = 'order' AND late = 0 AND status = 'paid'
                AND community_id IN (SELECT community_id FROM edges)
        ) AS o
        INNER JOIN edges AS e ON e.community_id = o.community_id AND e.referee_id = o.member_id
    ),
    came AS
    (
        SELECT
            campaign_id, referee_id, invited_at,
            arrayFilter(at -> at >= invited_at - INTERVAL 10 MINUTE, groupArrayArray(joins)) AS join_times, arrayMin(join_times) AS joined_at,
            arrayMap(day -> greatest(day.1, joined_at), arrayFilter(day -> day.2 >= joined_at, groupArrayArray(days))) AS active_times,
            arrayFilter(at -> at >= joined_at, groupArrayArray(orders)) AS order_times
        FROM told
        GROUP BY campaign_id, referee_id, community_id, invited_at
    ),
    people AS
    (
        SELECT
            campaign_id, referee_id, min(invited_at) AS invited, minOrNullIf(joined_at, notEmpty(join_times)) AS joined,
            minOrNullIf(arrayMin(active_times), notEmpty(join_times) AND notEmpty(active_times)) AS active,
            minOrNullIf(arrayMin(order_times), notEmpty(join_times) AND notEmpty(order_times)) AS bought
        FROM came
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
