-- Uplift: what was seen minus the mean of the baseline weeks. Its interval is that of a new observation from the weeks'
-- distribution: +- t(0.975; weeks - 1) * sqrt(variance * (1 + 1/weeks)) (Student's t for a prediction; any textbook, e.g.
-- Snedecor & Cochran, Statistical Methods, 8th ed., 4.10), with a variance of at least the mean over effort and
-- weeks, since counts vary no less than a Poisson process. With fewer than two baseline weeks there is none, nor for an
-- effort longer than the baseline.
CREATE OR REPLACE VIEW qunpulse.effort_results
(
    community_id String COMMENT 'Community',
    effort_id String COMMENT 'Campaign or event, see efforts',
    kind LowCardinality(String) COMMENT 'campaign, or the kind of the event',
    name String COMMENT 'Name by the rules file; the id if it has none',
    starts_at DateTime64(3, 'UTC') COMMENT 'Beginning in this community, see efforts (UTC, milliseconds)',
    ends_at DateTime64(3, 'UTC') COMMENT 'End in this community, see efforts (UTC, milliseconds, excluded)',
    participants UInt64 COMMENT 'Members with a message, an interaction, a paid order or a referral in it (staff and bots left out); count',
    new_members UInt64 COMMENT 'Members who joined by it or during it; count',
    retained_30d UInt64 COMMENT 'Of the new members, those still on the roster 30 days later; count',
    judged_30d UInt64 COMMENT 'Of the new members, those who joined 30 days ago or more; count',
    orders UInt64 COMMENT 'Orders that count for it, within the attribution window, see effort_orders; count',
    carrying_orders UInt64 COMMENT 'Of these, those that name the campaign or fall into the event''s span; count',
    buyers UInt64 COMMENT 'Members who placed the orders; count',
    coupon_orders UInt64 COMMENT 'Of the orders, those with a coupon; count',
    currency LowCardinality(String) COMMENT 'Currency of the money beside it: by the rules file, else that of most of its orders; empty without orders',
    gmv_minor Int64 COMMENT 'Paid amounts of the orders in this currency; minor units of the currency',
    net_gmv_minor Int64 COMMENT 'gmv_minor less what was refunded of these orders until now; minor units of the currency',
    quits_24h UInt64 COMMENT 'Members who quit (left or gone) during an event or within 24 hours of its end, or within 24 hours of a message that carries the campaign, see effort_quits; staff and bots left out; count',
    baseline_weeks UInt8 COMMENT 'Weeks before that it is compared with: at most 4, 0 for an effort longer than 28 days, see effort_baselines; count',
    activity UInt64 COMMENT 'Messages and interactions in the community during it; count',
    activity_expected Nullable(Float64) COMMENT 'Mean of the baseline weeks at the same weekdays and hours; count, NULL with fewer than 2 weeks',
    activity_uplift Nullable(Float64) COMMENT 'activity - activity_expected; holds for efforts that are short beside the growth of the group, which it does not take out; count, NULL with fewer than 2 weeks',
    activity_uplift_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Student''s t for a new observation); count, NULL with fewer than 2 weeks',
    activity_uplift_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (as the lower); count, NULL with fewer than 2 weeks',
    community_orders UInt64 COMMENT 'Paid orders in the community during it, of anybody; count',
    orders_expected Nullable(Float64) COMMENT 'Mean of the baseline weeks at the same weekdays and hours; count, NULL with fewer than 2 weeks',
    orders_uplift Nullable(Float64) COMMENT 'community_orders - orders_expected; holds for short efforts, as activity_uplift; count, NULL with fewer than 2 weeks',
    orders_uplift_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Student''s t for a new observation); count, NULL with fewer than 2 weeks',
    orders_uplift_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (as the lower); count, NULL with fewer than 2 weeks'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    people AS
    (
        SELECT
            community_id, effort_id, kind, countIf(took_part) AS participants, countIf(is_new) AS new_members,
            countIf(ifNull(retained_30d, 0)) AS retained, countIf(retained_30d IS NOT NULL) AS judged
        FROM qunpulse.effort_participants
        GROUP BY community_id, effort_id, kind
    ),
    money AS
    (
        SELECT
            community_id, effort_id, kind, sum(placed) AS orders, sum(carried) AS carrying_orders, sum(coupons) AS coupon_orders,
            length(arrayDistinct(arrayFlatten(groupArray(members)))) AS buyers, argMax(code, (placed, code)) AS main_currency,
            groupArray((code, paid, refunded)) AS sums
        FROM
        (
            SELECT
                community_id, effort_id, kind, toString(currency) AS code, count() AS placed, countIf(carries) AS carried,
                countIf(with_coupon) AS coupons, groupUniqArray(member_id) AS members, sum(amount_minor) AS paid,
                sum(refunded_minor) AS refunded
            FROM qunpulse.effort_orders
            GROUP BY community_id, effort_id, kind, code
        )
        GROUP BY community_id, effort_id, kind
    ),
    left_after AS
    (
        SELECT community_id, effort_id, kind, count() AS quits
        FROM qunpulse.effort_quits
        GROUP BY community_id, effort_id, kind
    ),
    compared AS
    (
        SELECT
            community_id, effort_id, kind, baseline_weeks AS weeks, activity, orders,
            [12.70620474, 4.30265273, 3.18244631][greatest(1, weeks - 1)] * sqrt(1 + 1 / greatest(1, weeks)) AS reach,
            arraySum(activity_before) / greatest(1, weeks) AS activity_mean,
            arraySum(orders_before) / greatest(1, weeks) AS orders_mean,
            reach * sqrt(greatest((activity + arraySum(activity_before)) / (weeks + 1),
                arraySum(x -> pow(x - activity_mean, 2), activity_before) / greatest(1, weeks - 1))) AS activity_reach,
            reach * sqrt(greatest((orders + arraySum(orders_before)) / (weeks + 1),
                arraySum(x -> pow(x - orders_mean, 2), orders_before) / greatest(1, weeks - 1))) AS orders_reach
        FROM qunpulse.effort_baselines
    ),
    named AS
    (
        SELECT campaign_id AS effort_id, 'campaign' AS kind, toString(currency) AS currency
        FROM qunpulse_store.campaign_rules FINAL
        UNION ALL
        SELECT DISTINCT span_id, toString(kind), toString(currency)
        FROM qunpulse_store.event_spans FINAL
    )
SELECT
    e.community_id AS community_id, e.effort_id AS effort_id, e.kind AS kind, e.name AS name, e.starts_at AS starts_at,
    e.ends_at AS ends_at, p.participants AS participants, p.new_members AS new_members, p.retained AS retained_30d,
    p.judged AS judged_30d, m.orders AS orders, m.carrying_orders AS carrying_orders, m.buyers AS buyers,
    m.coupon_orders AS coupon_orders, if(n.currency != '', n.currency, m.main_currency) AS currency,
    arraySum(s -> if(s.1 = currency, s.2, 0), m.sums) AS gmv_minor,
    arraySum(s -> if(s.1 = currency, s.2 - s.3, 0), m.sums) AS net_gmv_minor,
    w.quits AS quits_24h, c.weeks AS baseline_weeks, c.activity AS activity,
    if(c.weeks < 2, NULL, c.activity_mean) AS activity_expected, activity - activity_expected AS activity_uplift,
    activity_uplift - c.activity_reach AS activity_uplift_low, activity_uplift + c.activity_reach AS activity_uplift_high,
    c.orders AS community_orders, if(c.weeks < 2, NULL, c.orders_mean) AS orders_expected,
    community_orders - orders_expected AS orders_uplift, orders_uplift - c.orders_reach AS orders_uplift_low,
    orders_uplift + c.orders_reach AS orders_uplift_high
FROM qunpulse.efforts AS e
LEFT JOIN people AS p ON p.community_id = e.community_id AND p.effort_id = e.effort_id AND p.kind = e.kind
LEFT JOIN money AS m ON m.community_id = e.community_id AND m.effort_id = e.effort_id AND m.kind = e.kind
LEFT JOIN left_after AS w ON w.community_id = e.community_id AND w.effort_id = e.effort_id AND w.kind = e.kind
LEFT JOIN compared AS c ON c.community_id = e.community_id AND c.effort_id = e.effort_id AND c.kind = e.kind
LEFT JOIN named AS n ON n.effort_id = e.effort_id AND n.kind = e.kind
COMMENT 'What each campaign and event brought in each community: people, orders, quits, and, for those of at most 28 days, the uplift against the four weeks before with its interval; a row per community and effort. Times are UTC';
