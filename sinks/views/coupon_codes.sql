-- Claims and uses have no currency: they stand in each row of a code, whatever currencies its orders were paid in.
CREATE OR REPLACE VIEW qunpulse.coupon_codes
(
    community_id String COMMENT 'Community',
    code String COMMENT 'Coupon code (coupon_codes of orders, object_id of coupon_claim and coupon_use); empty where a claim named none',
    currency String COMMENT 'Currency of the amounts (ISO 4217); empty when no order had the code',
    claims UInt64 COMMENT 'Distinct members (no staff, no bots) who claimed the code; count over all currencies',
    uses UInt64 COMMENT 'Distinct members with a paid order with the code, or a coupon_use that names it; count over all currencies',
    use_rate Nullable(Float64) COMMENT 'uses / claims; ratio; NULL without claims',
    orders UInt64 COMMENT 'Paid orders with the code in this currency; count',
    gmv_minor Int64 COMMENT 'Sum of their paid amounts, refunds not taken off; minor units of the currency (cents)',
    net_gmv_minor Int64 COMMENT 'The same less the refunds that name these orders, whenever they came; minor units of the currency (cents)',
    new_buyers UInt64 COMMENT 'Members whose first order in the community was one of these; count'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, code, sale.1 AS currency, claims, uses, uses / nullIf(claims, 0) AS use_rate,
    sale.2 AS orders, sale.3 AS gmv_minor, sale.4 AS net_gmv_minor, sale.5 AS new_buyers
FROM
(
    SELECT
        community_id, code, uniqExactIf(member_id, is_claim) AS claims, uniqExactIf(member_id, is_use) AS uses,
        -- totals by currency; a code without orders keeps one row
        mapFilter((currency, totals) -> currency != '', sumMap(map(currency, is_order))) AS order_counts,
        sumMap(map(currency, minor)) AS gmv, sumMap(map(currency, net_minor)) AS net_gmv, sumMap(map(currency, is_new)) AS new_ones,
        arrayMap
        (
            found -> (found, order_counts[found], gmv[found], net_gmv[found], new_ones[found]),
            if(empty(order_counts), [''], mapKeys(order_counts))
        ) AS sales
    FROM
    (
        SELECT
            community_id, member_id, object_id AS code, '' AS currency, kind = 'coupon_claim' AS is_claim,
            kind = 'coupon_use' AS is_use, toUInt64(0) AS is_order, toInt64(0) AS minor, toInt64(0) AS net_minor, toUInt64(0) AS is_new
        FROM qunpulse_store.events
        WHERE event_type = 'message' AND late = 0 AND kind IN ('coupon_claim', 'coupon_use') AND sender_role NOT IN ('staff', 'bot')
        UNION ALL
        SELECT
            community_id, member_id, arrayJoin(coupon_codes), toString(currency), 0,
            1, 1, amount_minor, amount_minor - refunded_minor, order_number = 1
        FROM qunpulse.orders
    )
    GROUP BY community_id, code
)
ARRAY JOIN sales AS sale
COMMENT 'Coupons by code: claims, uses, and what the orders with it brought; a row per community, code and currency. Times are UTC';
