-- Orders of participants within the attribution window. An order told twice, or in two communities, is one order: it is
-- counted where it was told first. Copies of an event change none of this: no FINAL.
CREATE OR REPLACE VIEW qunpulse.effort_orders
(
    effort_id String COMMENT 'Campaign or event, see efforts',
    kind LowCardinality(String) COMMENT 'campaign, or the kind of the event',
    community_id String COMMENT 'Community that told the order first',
    order_id String COMMENT 'Order',
    member_id String COMMENT 'Member who bought',
    paid_at DateTime64(3, 'UTC') COMMENT 'When it was paid (UTC, milliseconds)',
    currency LowCardinality(String) COMMENT 'Currency (ISO 4217)',
    amount_minor Int64 COMMENT 'Amount paid; minor units of the currency',
    refunded_minor Int64 COMMENT 'Refunded of it until now; minor units of the currency',
    with_coupon UInt8 COMMENT '1 when a coupon was used, else 0',
    carries UInt8 COMMENT '1 when the order itself names the campaign or falls into the event''s span, 0 when it is attributed by the window only'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    -- by what is asked for, the orders of some communities: all others' orders are read past them, not kept
    told_here AS
    (
        SELECT DISTINCT community_id, order_id
        FROM qunpulse_store.events
        WHERE event_type = 'order' AND status = 'paid' AND late = 0
    ),
    told_first_here AS
    (
        SELECT
            h.community_id AS community_id, h.order_id AS order_id,
            -- sorted arrays of the one or two tellings of an order are quicker than argMin of tuples
            arraySort(groupArrayIf((e.occurred_at, e.community_id, e.event_id, e.member_id, e.currency, e.amount_minor,
                e.with_coupon, e.campaign_id), e.status = 'paid'))[1] AS told,
            -- a refund told twice is one refund
            arraySum(maxMapIf([e.told_as], [e.amount_minor], e.status = 'refunded').2) AS refunded_minor
        FROM
        (
            SELECT
                community_id, event_id, occurred_at, member_id, status, order_id AS told_as, currency, amount_minor,
                notEmpty(coupon_codes) AS with_coupon, campaign_id,
                if(status = 'refunded' AND original_order_id != '', original_order_id, order_id) AS of_order
            FROM qunpulse_store.events
            WHERE event_type = 'order' AND status IN ('paid', 'refunded') AND late = 0
        ) AS e
        INNER JOIN told_here AS h ON h.order_id = e.of_order
        GROUP BY community_id, order_id
        HAVING told.2 = community_id  -- told here first
    ),
    parts AS
    (
        SELECT
            p.community_id AS community_id, p.effort_id AS effort_id, p.kind AS kind, p.member_id AS member_id,
            p.first_at AS first_at, s.starts_at AS starts_at, s.ends_at AS ends_at,
            multiIf(s.span_id != '', s.attribution_days, r.campaign_id != '', r.attribution_days, 30) AS attribution_days
        FROM qunpulse.effort_parts AS p
        LEFT JOIN (SELECT * FROM qunpulse_store.event_spans FINAL) AS s
            ON s.community_id = p.community_id AND s.span_id = p.effort_id AND s.kind = p.kind
        LEFT JOIN (SELECT * FROM qunpulse_store.campaign_rules FINAL) AS r
            ON r.campaign_id = p.effort_id AND 'campaign' = p.kind
    )
SELECT
    p.effort_id AS effort_id, p.kind AS kind, o.community_id AS community_id, o.order_id AS order_id,
    o.buyer AS member_id, o.told.1 AS paid_at, o.told.5 AS currency, o.told.6 AS amount_minor,
    o.refunded_minor AS refunded_minor, o.told.7 AS with_coupon,
    if(p.kind = 'campaign', o.told.8 = p.effort_id, paid_at >= p.starts_at AND paid_at < p.ends_at) AS carries
FROM (SELECT *, told.4 AS buyer FROM told_first_here) AS o
INNER JOIN parts AS p ON p.community_id = o.community_id AND p.member_id = o.buyer
WHERE o.told.1 >= p.first_at AND o.told.1 < p.first_at + toIntervalDay(p.attribution_days) + INTERVAL 1 MILLISECOND
COMMENT 'Orders that count for a campaign or event: of participants, from their first part in it to the end of the attribution window; a row per effort and order. Times are UTC';
