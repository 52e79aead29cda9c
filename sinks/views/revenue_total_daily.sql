-- An order belongs to the community that was told of it first (its home), a refund to the home of its order; whatever the
-- other communities say of them is left out. An order and a refund without one are told apart by order_id alone.
CREATE OR REPLACE VIEW qunpulse.revenue_total_daily
(
    local_date Date COMMENT 'Day: calendar date in the time zone of each order''s community',
    currency LowCardinality(String) COMMENT 'Currency of the amounts (ISO 4217)',
    communities UInt64 COMMENT 'Communities with an order or refund on this day; count',
    orders UInt64 COMMENT 'Paid orders, each order_id once whatever number of communities was told of it; count',
    buyers UInt64 COMMENT 'Distinct accounts (platform and member_id) who paid an order; count',
    gmv_minor Int64 COMMENT 'Sum of paid amounts; minor units of the currency (cents)',
    refunded_minor Int64 COMMENT 'Sum of refunds that happened on this day; minor units of the currency (cents)',
    net_gmv_minor Int64 COMMENT 'GMV net of refunds: gmv_minor - refunded_minor; minor units of the currency (cents)'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    told AS
    (
        SELECT community_id, order_id, ordered_at AS told_at, local_date, currency, (platform, member_id) AS account, amount_minor, 0 AS refunded_minor, 1 AS paid
        FROM qunpulse.orders
        UNION ALL
        SELECT community_id, order_id, refunded_at, local_date, currency, ('', ''), 0, refunded_minor, 0
        FROM qunpulse.refunds
    )
SELECT
    local_date, currency, uniqExact(community_id) AS communities, countIf(paid) AS orders, uniqExactIf(account, paid) AS buyers,
    sum(amount_minor) AS gmv_minor, sum(refunded_minor) AS refunded_minor, gmv_minor - refunded_minor AS net_gmv_minor
FROM
(
    SELECT
        *, first_value(community_id) OVER
        (
            PARTITION BY order_id ORDER BY paid DESC, told_at, community_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS home
    FROM told
)
WHERE community_id = home
GROUP BY local_date, currency
COMMENT 'Money of all communities together by day and currency, every order once; a row per local date and currency with an order or refund. Times are UTC; dates are each community''s own';
