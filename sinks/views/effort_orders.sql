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
    paid AS
    (
        SELECT
            order_id, argMin((community_id, member_id, currency, amount_minor, notEmpty(coupon_codes), campaign_id),
                (occurred_at, community_id, event_id)) AS told,
            min(occurred_at) AS paid_at
        FROM qunpulse_store.events
        WHERE event_type = 'order' AND status = 'paid' AND late = 0
        GROUP BY order_id
    ),
    refunds AS
    (
        SELECT of_order, sum(amount) AS refunded_minor
        FROM
        (
            SELECT if(original_order_id != '', original_order_id, order_id) AS of_order, order_id, max(amount_minor) AS amount
            FROM qunpulse_store.events
            WHERE event_type = 'order' AND status = 'refunded' AND late = 0
            GROUP BY of_order, order_id
        )
        GROUP BY of_order
    ),
    parts AS
    (
        SELECT
            p.community_id AS community_id, p.effort_id AS effort_id, p.kind AS kind, p.member_id AS member_id,
            p.first_at AS first_at, s.starts_at AS starts_at, s.ends_at AS ends_at,
            multiIf(s.span_id != '', s.attribution_days, r.campaign_id != '', r.attribution_days, 30) AS attribution_days
        FROM qunpulse.effort_participants AS p
        LEFT JOIN (SELECT * FROM qunpulse_store.event_spans FINAL) AS s
            ON s.community_id = p.community_id AND s.span_id = p.effort_id AND s.kind = p.kind
        LEFT JOIN (SELECT * FROM qunpulse_store.campaign_rules FINAL) AS r
            ON r.campaign_id = p.effort_id AND 'campaign' = p.kind
    )
SELECT
    p.effort_id AS effort_id, p.kind AS kind, o.community_id AS community_id, o.order_id AS order_id,
    o.member_id AS member_id, o.paid_at AS paid_at, o.currency AS currency, o.amount_minor AS amount_minor,
    r.refunded_minor AS refunded_minor, o.with_coupon AS with_coupon,
    if(p.kind = 'campaign', o.campaign_id = p.effort_id, o.paid_at >= p.starts_at AND o.paid_at < p.ends_at) AS carries
FROM
(
    SELECT
        told.1 AS community_id, order_id, told.2 AS member_id, paid_at, told.3 AS currency, told.4 AS amount_minor,
        told.5 AS with_coupon, told.6 AS campaign_id
    FROM paid
) AS o
INNER JOIN parts AS p ON p.community_id = o.community_id AND p.member_id = o.member_id
LEFT JOIN refunds AS r ON r.of_order = o.order_id
WHERE o.paid_at >= p.first_at AND o.paid_at < p.first_at + toIntervalDay(p.attribution_days) + INTERVAL 1 MILLISECOND
COMMENT 'Orders that count for a campaign or event: of participants, from their first part in it to the end of the attribution window; a row per effort and order. Times are UTC';
