-- A coupon is counted once per member and code: a connector may tell of the same use as an interaction and in the order.
CREATE OR REPLACE VIEW qunpulse.coupons
(
    community_id String COMMENT 'Community',
    claims UInt64 COMMENT 'Coupons claimed: distinct pairs of member and code (object_id of a coupon_claim by a member, not by staff or bots); count',
    uses UInt64 COMMENT 'Coupons used: distinct pairs of member and code in a paid order, or named by a coupon_use; count',
    claims_used UInt64 COMMENT 'Coupons both claimed and used by the same member; count',
    use_rate Nullable(Float64) COMMENT 'Use rate: uses / claims; ratio (above 1 when codes are used that nobody claimed in the community); NULL without claims',
    claims_used_rate Nullable(Float64) COMMENT 'claims_used / claims; share from 0 to 1; NULL without claims',
    orders UInt64 COMMENT 'Paid orders, each order_id once; count',
    orders_with_coupon UInt64 COMMENT 'Those with a coupon code; count',
    orders_with_coupon_share Nullable(Float64) COMMENT 'orders_with_coupon / orders; share from 0 to 1; NULL without orders'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, sum(claimed) AS claims, sum(used) AS uses, sum(claimed AND used) AS claims_used,
    uses / nullIf(claims, 0) AS use_rate, claims_used / nullIf(claims, 0) AS claims_used_rate,
    sum(order_count) AS orders, sum(coupon_orders) AS orders_with_coupon,
    orders_with_coupon / nullIf(orders, 0) AS orders_with_coupon_share
FROM
(
    SELECT
        community_id, member_id, code, max(is_claim) AS claimed, max(is_use) AS used, sum(is_order) AS order_count,
        sum(is_coupon_order) AS coupon_orders
    FROM
    (
        SELECT
            community_id, member_id, object_id AS code, kind = 'coupon_claim' AS is_claim, kind = 'coupon_use' AS is_use,
            0 AS is_order, 0 AS is_coupon_order
        FROM qunpulse_store.events
        WHERE event_type = 'message' AND late = 0 AND kind IN ('coupon_claim', 'coupon_use') AND sender_role NOT IN ('staff', 'bot')
        UNION ALL
        SELECT community_id, member_id, arrayJoin(coupon_codes), 0, 1, 0, 0
        FROM qunpulse.orders
        UNION ALL
        SELECT community_id, '', '', 0, 0, 1, notEmpty(coupon_codes)
        FROM qunpulse.orders
    )
    GROUP BY community_id, member_id, code
)
GROUP BY community_id
COMMENT 'Coupons: claimed, used, and the orders that had one; a row per community with a coupon or an order. Times are UTC';
