CREATE OR REPLACE VIEW qunpulse.effort_totals
(
    effort_id String COMMENT 'Campaign or event, see efforts',
    kind LowCardinality(String) COMMENT 'campaign, or the kind of the event',
    name String COMMENT 'Name by the rules file; the id if it has none',
    communities UInt64 COMMENT 'Communities it took place in; count',
    participants UInt64 COMMENT 'Persons who took part, each counted once over all communities and accounts (see person_members); count',
    new_members UInt64 COMMENT 'Persons who joined a community by it or during it, each counted once; count',
    retained_30d UInt64 COMMENT 'Of these, those still on the roster of a community they joined so 30 days later; count',
    judged_30d UInt64 COMMENT 'Of the new members, those of whom that can be said by now; count',
    orders UInt64 COMMENT 'Orders that count for it, each order_id once over all communities; count',
    buyers UInt64 COMMENT 'Persons who placed them, each counted once; count',
    coupon_orders UInt64 COMMENT 'Of the orders, those with a coupon; count',
    currency LowCardinality(String) COMMENT 'Currency of cost and money: by the rules file, else that of most of its orders; empty without orders',
    gmv_minor Int64 COMMENT 'Paid amounts of the orders in this currency; minor units of the currency',
    net_gmv_minor Int64 COMMENT 'gmv_minor less what was refunded of these orders until now; minor units of the currency',
    cost_minor Nullable(Int64) COMMENT 'What it cost, by the rules file; minor units of the currency, NULL if not given',
    return_on_cost Nullable(Float64) COMMENT '(net_gmv_minor - cost_minor) ÷ cost_minor; ratio, NULL without a cost',
    cost_per_retained_minor Nullable(Float64) COMMENT 'cost_minor ÷ retained_30d; minor units of the currency, NULL without a cost or when nobody was retained',
    goal_figure LowCardinality(String) COMMENT 'Figure of this view that the goal is about, by the rules file; empty without a goal',
    goal Nullable(Float64) COMMENT 'Goal by the rules file, in the unit of goal_figure (count or minor units); NULL without a goal',
    goal_share Nullable(Float64) COMMENT 'What was reached of the goal: the figure ÷ goal; ratio, NULL without a goal',
    quits_24h UInt64 COMMENT 'Sum of effort_results.quits_24h: members who quit, counted in each community; count',
    orders_expected Nullable(Float64) COMMENT 'Sum over its communities of the mean orders of the baseline weeks; count, NULL when a community has fewer than 2 such weeks, or it lasted longer than 28 days in one',
    orders_uplift Nullable(Float64) COMMENT 'Paid orders in these communities during it - orders_expected; holds for efforts that are short beside the growth of the groups; count, NULL as before',
    orders_uplift_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (of effort_results, over the sums of the weeks all communities have); count, NULL as before',
    orders_uplift_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (as the lower); count, NULL as before'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    homes AS
    (
        SELECT effort_id, kind, any(e.name) AS name, uniqExact(community_id) AS communities
        FROM qunpulse.efforts AS e
        GROUP BY effort_id, kind
    ),
    people AS
    (
        SELECT
            p.effort_id AS effort_id, p.kind AS kind, uniqExactIf(m.person_id, p.took_part) AS participants,
            uniqExactIf(m.person_id, p.is_new) AS new_members, uniqExactIf(m.person_id, ifNull(p.retained_30d, 0)) AS retained,
            uniqExactIf(m.person_id, p.retained_30d IS NOT NULL) AS judged
        FROM qunpulse.effort_participants AS p
        INNER JOIN qunpulse.person_members AS m ON m.community_id = p.community_id AND m.member_id = p.member_id
        GROUP BY effort_id, kind
    ),
    money AS
    (
        SELECT
            effort_id, kind, sum(placed) AS orders, sum(coupons) AS coupon_orders,
            length(arrayDistinct(arrayFlatten(groupArray(persons)))) AS buyers, argMax(code, (placed, code)) AS main_currency,
            groupArray((code, paid, refunded)) AS sums
        FROM
        (
            SELECT
                o.effort_id AS effort_id, o.kind AS kind, toString(o.currency) AS code, count() AS placed,
                countIf(o.with_coupon) AS coupons, groupUniqArray(m.person_id) AS persons, sum(o.amount_minor) AS paid,
                sum(o.refunded_minor) AS refunded
            FROM qunpulse.effort_orders AS o
            INNER JOIN qunpulse.person_members AS m ON m.community_id = o.community_id AND m.member_id = o.member_id
            GROUP BY effort_id, kind, code
        )
        GROUP BY effort_id, kind
    ),
    quits AS
    (
        SELECT effort_id, kind, count() AS quits_24h
        FROM qunpulse.effort_quits
        GROUP BY effort_id, kind
    ),
    compared AS
    (
        SELECT
            effort_id, kind, min(b.baseline_weeks) AS weeks, sum(b.orders) AS seen,
            arrayResize(sumForEach(b.orders_before), weeks) AS before, arraySum(before) / greatest(1, weeks) AS expected,
            [12.70620474, 4.30265273, 3.18244631][greatest(1, weeks - 1)] * sqrt((1 + 1 / greatest(1, weeks))
                * greatest((seen + arraySum(before)) / (weeks + 1),
                    arraySum(x -> pow(x - expected, 2), before) / greatest(1, weeks - 1))) AS reach
        FROM qunpulse.effort_baselines AS b
        GROUP BY effort_id, kind
    ),
    named AS
    (
        SELECT campaign_id AS effort_id, 'campaign' AS kind, cost_minor, toString(currency) AS currency, goal_figure, goal
        FROM qunpulse_store.campaign_rules FINAL
        UNION ALL
        SELECT span_id, toString(any(s.kind)) AS kind, any(s.cost_minor), toString(any(s.currency)), any(s.goal_figure), any(s.goal)
        FROM (SELECT * FROM qunpulse_store.event_spans FINAL) AS s
        GROUP BY span_id
    )
SELECT
    h.effort_id AS effort_id, h.kind AS kind, h.name AS name, h.communities AS communities,
    p.participants AS participants, p.new_members AS new_members, p.retained AS retained_30d, p.judged AS judged_30d,
    m.orders AS orders, m.buyers AS buyers, m.coupon_orders AS coupon_orders,
    if(n.currency != '', n.currency, m.main_currency) AS currency,
    arraySum(s -> if(s.1 = currency, s.2, 0), m.sums) AS gmv_minor,
    arraySum(s -> if(s.1 = currency, s.2 - s.3, 0), m.sums) AS net_gmv_minor,
    n.cost_minor AS cost_minor, if(ifNull(cost_minor, 0) = 0, NULL, (net_gmv_minor - cost_minor) / cost_minor) AS return_on_cost,
    if(retained_30d = 0, NULL, cost_minor / retained_30d) AS cost_per_retained_minor,
    n.goal_figure AS goal_figure, n.goal AS goal,
    if(ifNull(goal, 0) = 0, NULL,
        [toFloat64(participants), toFloat64(new_members), toFloat64(orders), toFloat64(buyers), toFloat64(gmv_minor),
            toFloat64(net_gmv_minor), toFloat64(retained_30d)][indexOf(['participants', 'new_members', 'orders', 'buyers',
            'gmv_minor', 'net_gmv_minor', 'retained_30d'], toString(goal_figure))] / goal) AS goal_share,
    q.quits_24h AS quits_24h, if(c.weeks < 2, NULL, c.expected) AS orders_expected,
    toFloat64(c.seen) - orders_expected AS orders_uplift,
    orders_uplift - c.reach AS orders_uplift_low, orders_uplift + c.reach AS orders_uplift_high
FROM homes AS h
LEFT JOIN people AS p ON p.effort_id = h.effort_id AND p.kind = h.kind
LEFT JOIN money AS m ON m.effort_id = h.effort_id AND m.kind = h.kind
LEFT JOIN quits AS q ON q.effort_id = h.effort_id AND q.kind = h.kind
LEFT JOIN compared AS c ON c.effort_id = h.effort_id AND c.kind = h.kind
LEFT JOIN named AS n ON n.effort_id = h.effort_id AND n.kind = h.kind
COMMENT 'What each campaign and event brought over all its communities, each person and order counted once, against what it cost and was to bring; a row per effort. Times are UTC';
