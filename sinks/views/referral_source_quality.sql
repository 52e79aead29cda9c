-- Everything known of a member is brought together by one UNION grouped by community and member, so that every table
-- is read once and a condition on community_id reaches its key.
-- Day n ends with a local midnight, found as in k_factor: the reading with the zone's offset (%z) near it.
CREATE OR REPLACE VIEW qunpulse.referral_source_quality
(
    community_id String COMMENT 'Community',
    brought_how LowCardinality(String) COMMENT 'inviter: brought_by is the member who invited; source: it is the source code of the join (channel or QR state)',
    brought_by String COMMENT 'Inviter: the inviter_id of the first join event, else the referrer of the first referral event that names the member (no self-referral). Source: the source of the first join event. Empty for those without, who are the yardstick',
    joined UInt64 COMMENT 'Members (staff and bots not counted) with a join event, brought so; a member counts once, with the first join; count',
    d7_members UInt64 COMMENT 'Of these, the cohort of the day-7 figures: those whose 7th local day after the day of joining had ended by as_of; count',
    d7_in UInt64 COMMENT 'Of d7_members, still in at the end of that day: the last join or leave event before it is a join, and no roster snapshot had missed them; count',
    d7_active UInt64 COMMENT 'Of d7_in, with a message, an interaction or a paid order on one of the 7 local days that end with day 7; count',
    d7_in_rate Nullable(Float64) COMMENT 'd7_in / d7_members; a ratio of counts; NULL while no member is old enough',
    d7_active_rate Nullable(Float64) COMMENT 'd7_active / d7_members; a ratio of counts; NULL while no member is old enough',
    d30_members UInt64 COMMENT 'The cohort of the day-30 figures, like d7_members; count',
    d30_in UInt64 COMMENT 'Of d30_members, still in at the end of day 30, like d7_in; count',
    d30_active UInt64 COMMENT 'Of d30_in, active on one of the 7 local days that end with day 30, like d7_active; count',
    d30_in_rate Nullable(Float64) COMMENT 'd30_in / d30_members; a ratio of counts; NULL while no member is old enough',
    d30_active_rate Nullable(Float64) COMMENT 'd30_active / d30_members; a ratio of counts; NULL while no member is old enough',
    d30_buyers UInt64 COMMENT 'Of d30_members, with a paid order from joining to the end of day 30; count',
    d30_order_rate Nullable(Float64) COMMENT 'd30_buyers / d30_members: order conversion; a ratio of counts; NULL while no member is old enough',
    d30_revenue_minor Map(String, Int64) COMMENT 'Paid minus refunded amounts of d30_members from joining to the end of day 30, by currency (ISO 4217); minor units of the currency (cents); a currency that comes to 0 is left out',
    as_of Nullable(DateTime64(3, 'UTC')) COMMENT 'Largest event time applied in any community: decides which members are old enough (UTC, milliseconds)'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    (on_date, zone, near) ->
        parseDateTimeBestEffort(concat(toString(on_date), 'T00:00:00', formatDateTime(near, '%z', zone)), 'UTC')
        AS midnight,
    (on_date, zone) -> midnight(on_date, zone, midnight(on_date, zone, toDateTime(on_date, 'UTC'))) AS begins,
    (SELECT max(event_clock) FROM qunpulse_store.accounting FINAL) AS clock,
    known AS
    (
        SELECT
            community_id, member_id, role IN ('staff', 'bot') AS is_staff,
            if(status = 'left', left_at, NULL) AS gone_at, [] AS moves, [] AS invited, [] AS orders, [] AS active
        FROM qunpulse_store.members FINAL
        UNION ALL
        SELECT
            community_id, member_id, 0, NULL,
            -- at the same time a later rank wins, as in the roster
            [(occurred_at, indexOf(['joined', 'left', 'removed', 'gone'], action), event_id, inviter_id, source)],
            [], [], []
        FROM qunpulse_store.events FINAL
        WHERE event_type = 'join' AND late = 0 AND action IN ('joined', 'left', 'removed', 'gone')
        UNION ALL
        SELECT community_id, referee_id, 0, NULL, [], [(occurred_at, event_id, referrer_id)], [], []
        FROM qunpulse_store.events FINAL
        WHERE event_type = 'referral' AND late = 0 AND referrer_id != referee_id
        UNION ALL
        SELECT
            community_id, member_id, 0, NULL, [], [],
            [(occurred_at, if(status = 'paid', amount_minor, -amount_minor), toString(currency), status = 'paid')], []
        FROM qunpulse_store.events FINAL
        WHERE event_type = 'order' AND late = 0 AND status IN ('paid', 'refunded')
        UNION ALL
        SELECT community_id, member_id, 0, NULL, [], [], [], [local_date]
        FROM qunpulse_store.member_days FINAL
        WHERE messages + interactions + orders > 0
    ),
    by_member AS
    (
        SELECT
            community_id, member_id, max(gone_at) AS gone_at,
            arraySort(groupArrayArray(moves)) AS moves, arraySort(groupArrayArray(invited)) AS invited,
            groupArrayArray(orders) AS orders, groupArrayArray(active) AS active_dates,
            arrayFirst(move -> move.2 = 1, moves) AS first_join
        FROM known
        GROUP BY community_id, member_id
        HAVING max(is_staff) = 0 AND arrayExists(move -> move.2 = 1, moves)
    ),
    dated AS
    (
        SELECT
            community_id, gone_at, moves, orders, active_dates, first_join.1 AS joined_at, first_join.5 AS source,
            if(first_join.4 != '', first_join.4, invited[1].3) AS inviter,
            toDate(formatDateTime(joined_at, '%F', timezone)) AS joined_on,
            begins(joined_on + 8, timezone) AS end_7, begins(joined_on + 31, timezone) AS end_30,
            ifNull(end_7 <= clock, 0) AS old_7, ifNull(end_30 <= clock, 0) AS old_30
        FROM by_member
        INNER JOIN
            (SELECT community_id, timezone FROM qunpulse_store.communities FINAL WHERE timezone != '') AS zones
            USING (community_id)
    ),
    judged AS
    (
        SELECT
            community_id, source, inviter, old_7, old_30,
            old_7 AND arrayLast(move -> move.1 < end_7, moves).2 = 1 AND ifNull(gone_at >= end_7, 1) AS in_7,
            old_30 AND arrayLast(move -> move.1 < end_30, moves).2 = 1 AND ifNull(gone_at >= end_30, 1) AS in_30,
            in_7 AND arrayExists(day -> day BETWEEN joined_on + 1 AND joined_on + 7, active_dates) AS active_7,
            in_30 AND arrayExists(day -> day BETWEEN joined_on + 24 AND joined_on + 30, active_dates) AS active_30,
            if(old_30, arrayFilter(one -> one.1 >= joined_at AND one.1 < end_30, orders), []) AS orders_30
        FROM dated
    ),
    counted AS
    (
        SELECT
            community_id, how.1 AS brought_how, how.2 AS brought_by,
            count() AS joined, countIf(old_7) AS d7_members, countIf(in_7) AS d7_in, countIf(active_7) AS d7_active,
            countIf(old_30) AS d30_members, countIf(in_30) AS d30_in, countIf(active_30) AS d30_active,
            countIf(arrayExists(one -> one.4, orders_30)) AS d30_buyers,
            sumMap(arrayMap(one -> one.3, orders_30), arrayMap(one -> one.2, orders_30)) AS revenue
        FROM judged
        ARRAY JOIN [('inviter', inviter), ('source', source)] AS how
        GROUP BY community_id, brought_how, brought_by
    )
SELECT
    community_id, brought_how, brought_by, joined,
    d7_members, d7_in, d7_active,
    d7_in / nullIf(d7_members, 0) AS d7_in_rate, d7_active / nullIf(d7_members, 0) AS d7_active_rate,
    d30_members, d30_in, d30_active,
    d30_in / nullIf(d30_members, 0) AS d30_in_rate, d30_active / nullIf(d30_members, 0) AS d30_active_rate,
    d30_buyers, d30_buyers / nullIf(d30_members, 0) AS d30_order_rate,
    mapFromArrays(revenue.1, revenue.2) AS d30_revenue_minor, clock AS as_of
FROM counted
COMMENT 'Who brings people that stay: members by who or what brought them, and how many were still in, active and buying 7 and 30 local days after joining; a row per community and inviter, and per community and source code. Only members old enough count for a day. Times are UTC';
