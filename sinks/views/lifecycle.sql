CREATE OR REPLACE VIEW qunpulse.lifecycle
(
    community_id String COMMENT 'Community',
    member_id String COMMENT 'Member (staff and bots by their latest role left out), whoever left included',
    as_of Date COMMENT 'Last local day of the community with a figure: the day on which the member is looked at',
    stage LowCardinality(String) COMMENT 'new: joined lately and not active yet; activated: first active lately; active; at_risk: silent beyond its rhythm, or new for too long; dormant: silent for long; lost: silent for very long or not on the roster (limits: rules file, section lifecycle)',
    buyer_stage LowCardinality(String) COMMENT 'potential: no paid order in this community; first_time: one; repeat: more (each order_id once)',
    tier LowCardinality(String) COMMENT 'By behaviour: ordinary, active, key_opinion or core, see member_tier_days',
    value_tier LowCardinality(String) COMMENT 'By value: low_intent, high_intent or high_value, see member_tier_days',
    since Date COMMENT 'Local day of the latest joining, of first being seen where none is known',
    first_active_date Nullable(Date) COMMENT 'First local day with a message, an interaction or a paid order since then; NULL if none',
    last_active_date Nullable(Date) COMMENT 'Last local day with a message, an interaction or a paid order; NULL if none',
    silent_days Int32 COMMENT 'From the last active day, or from joining if that was later, to as_of; days',
    typical_gap_days Nullable(Float32) COMMENT 'Median gap between active days, see members; days, NULL with fewer than two',
    orders UInt64 COMMENT 'Paid orders in this community, each order_id once; count'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    (SELECT mapFromArrays(groupArray(toString(name)), groupArray(value)) FROM qunpulse_store.definitions FINAL) AS rule,
    known AS
    (
        SELECT
            m.community_id AS community_id, m.member_id AS member_id, m.status AS status, m.typical_gap_days AS typical_gap_days,
            toDate(m.begins_at + o.offset_seconds) AS since
        FROM
        (
            SELECT community_id, member_id, status, typical_gap_days, ifNull(joined_at, first_seen_at) AS begins_at
            FROM qunpulse_store.members FINAL
            WHERE role NOT IN ('staff', 'bot')
        ) AS m
        ASOF INNER JOIN qunpulse.community_offsets AS o ON o.community_id = m.community_id AND m.begins_at >= o.starts_at
    ),
    facts AS
    (
        SELECT
            community_id, member_id, groupArrayIf(local_date, what = 'active') AS active_dates,
            argMaxIf(value_1, local_date, what = 'tier') AS tier, argMaxIf(value_2, local_date, what = 'tier') AS value_tier,
            maxIf(placed, what = 'orders') AS orders
        FROM
        (
            SELECT community_id, member_id, 'active' AS what, local_date, '' AS value_1, '' AS value_2, toUInt64(0) AS placed
            FROM qunpulse_store.member_days FINAL
            WHERE messages + interactions + orders > 0
            UNION ALL
            SELECT community_id, member_id, 'tier', local_date, toString(tier), toString(value_tier), 0
            FROM qunpulse.member_tier_days
            UNION ALL
            SELECT community_id, member_id, 'orders', toDate(0), '', '', uniqExact(order_id)
            FROM qunpulse_store.events
            WHERE event_type = 'order' AND status = 'paid' AND late = 0
            GROUP BY community_id, member_id
        )
        GROUP BY community_id, member_id
    ),
    looked_at AS
    (
        SELECT
            k.community_id AS community_id, k.member_id AS member_id, c.as_of AS as_of, k.status AS status,
            k.typical_gap_days AS typical_gap_days, k.since AS since, f.orders AS orders,
            if(f.tier = '', 'ordinary', f.tier) AS tier, if(f.value_tier = '', 'low_intent', f.value_tier) AS value_tier,
            arrayFilter(d -> d >= k.since, f.active_dates) AS lately,
            if(empty(lately), NULL, arrayMin(lately)) AS first_active_date,
            if(empty(f.active_dates), NULL, arrayMax(f.active_dates)) AS last_active_date,
            toInt32(c.as_of - greatest(k.since, ifNull(last_active_date, k.since))) AS silent_days
        FROM known AS k
        INNER JOIN
        (
            SELECT community_id, max(local_date) AS as_of
            FROM qunpulse_store.community_days FINAL
            GROUP BY community_id
        ) AS c ON c.community_id = k.community_id
        LEFT JOIN facts AS f ON f.community_id = k.community_id AND f.member_id = k.member_id
    )
SELECT
    community_id, member_id, as_of,
    multiIf(
        status = 'left' OR silent_days > rule['lifecycle_lost_days'], 'lost',
        silent_days > rule['lifecycle_dormant_days'], 'dormant',
        first_active_date IS NULL, if(silent_days < rule['lifecycle_new_days'], 'new', 'at_risk'),
        silent_days > rule['lifecycle_at_risk_days']
            AND silent_days > rule['lifecycle_at_risk_gaps'] * ifNull(typical_gap_days, 0), 'at_risk',
        as_of - assumeNotNull(first_active_date) < rule['lifecycle_settled_days'], 'activated', 'active') AS stage,
    multiIf(orders = 0, 'potential', orders = 1, 'first_time', 'repeat') AS buyer_stage,
    tier, value_tier, since, first_active_date, last_active_date, silent_days, typical_gap_days, orders
FROM looked_at
COMMENT 'Where each member stands on the community''s last day: stage, buyer stage, tiers; a row per community and member. Times are UTC; dates are the community''s own';
