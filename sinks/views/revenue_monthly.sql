-- Refunds count when they happen, not on the day of their order: a closed period never changes. ARPU divides by everybody
-- who was active, whatever they paid in; periods without any order or refund have no row.
CREATE OR REPLACE VIEW qunpulse.revenue_monthly
(
    community_id String COMMENT 'Community',
    month Date COMMENT 'First day of the calendar month in the community''s time zone',
    currency LowCardinality(String) COMMENT 'Currency of the amounts (ISO 4217)',
    orders UInt64 COMMENT 'Paid orders in this month, each order_id once, by whomever; count',
    buyers UInt64 COMMENT 'Distinct members who paid an order in this currency in this month; count',
    new_buyers UInt64 COMMENT 'Those whose first order in this community it was; count',
    gmv_minor Int64 COMMENT 'Sum of paid amounts; minor units of the currency (cents)',
    refunded_minor Int64 COMMENT 'Sum of refunds that happened in this month, of whatever order; minor units of the currency (cents)',
    net_gmv_minor Int64 COMMENT 'GMV net of refunds: gmv_minor - refunded_minor; minor units of the currency (cents)',
    active_members UInt64 COMMENT 'Distinct active members of the month: members (no staff, no bots) with a message, an interaction or a paid order in this month; count',
    arpu_minor Nullable(Float64) COMMENT 'Average revenue per user: net_gmv_minor / active_members; minor units of the currency (cents); NULL when nobody was active',
    arppu_minor Nullable(Float64) COMMENT 'Average revenue per paying user: net_gmv_minor / buyers; minor units of the currency (cents); NULL without buyers',
    average_order_minor Nullable(Float64) COMMENT 'Average order value: gmv_minor / orders; minor units of the currency (cents); NULL without orders'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    money AS
    (
        SELECT
            community_id, toStartOfMonth(local_date) AS month, currency, countIf(is_order) AS orders,
            uniqExactIf(member_id, is_order) AS buyers, uniqExactIf(member_id, is_order AND order_number = 1) AS new_buyers,
            sumIf(minor, is_order) AS gmv_minor, sumIf(minor, NOT is_order) AS refunded_minor
        FROM
        (
            SELECT community_id, local_date, currency, member_id, 1 AS is_order, order_number, amount_minor AS minor
            FROM qunpulse.orders
            UNION ALL
            SELECT community_id, local_date, currency, member_id, 0, 0, refunded_minor
            FROM qunpulse.refunds
        )
        GROUP BY community_id, month, currency
    ),
    active AS
    (
        SELECT community_id, active_in AS month, count() AS active_members
        FROM qunpulse.member_active_dates
        ARRAY JOIN arrayDistinct(arrayMap(local_date -> toStartOfMonth(local_date), active_dates)) AS active_in
        GROUP BY community_id, active_in
    )
SELECT
    community_id, month, currency, orders, buyers, new_buyers, gmv_minor, refunded_minor,
    gmv_minor - refunded_minor AS net_gmv_minor, active_members,
    net_gmv_minor / nullIf(active_members, 0) AS arpu_minor, net_gmv_minor / nullIf(buyers, 0) AS arppu_minor,
    gmv_minor / nullIf(orders, 0) AS average_order_minor
FROM money
LEFT JOIN active USING (community_id, month)
COMMENT 'Money of each month by currency; a row per community, local calendar month and currency with an order or refund. An order told by several communities counts in each: add communities up with revenue_total_daily. Times are UTC; dates are the community''s own';
