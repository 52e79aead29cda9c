-- Difference of two shares with Newcombe's interval: Wilson intervals of both put together (Newcombe, Statistics in
-- Medicine 17, 1998, 873-890, method 10). Who is held out is drawn by a hash, so the difference is what the touch did.
CREATE OR REPLACE VIEW qunpulse.touch_effect
(
    community_id String COMMENT 'Community',
    kind LowCardinality(String) COMMENT 'Kind of touch, see touches',
    touched UInt64 COMMENT 'Members who got a first touch of the kind, and whose time to answer is over, see touch_outcomes; count',
    touched_answered UInt64 COMMENT 'Of these, those who did what was hoped for; count',
    touched_share Nullable(Float64) COMMENT 'touched_answered ÷ touched; share, NULL without any',
    held_out UInt64 COMMENT 'Members who would have got it and were left alone, and whose time is over; count',
    held_out_answered UInt64 COMMENT 'Of these, those who did it all the same; count',
    held_out_share Nullable(Float64) COMMENT 'held_out_answered ÷ held_out; share, NULL without any',
    effect Nullable(Float64) COMMENT 'touched_share - held_out_share: what the touch changed; share, NULL when one is missing',
    effect_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (Newcombe 1998, method 10); share, NULL when one is missing',
    effect_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (as the lower); share, NULL when one is missing'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    counts AS
    (
        SELECT
            community_id, kind, countIf(NOT o.held_out) AS n, countIf(NOT o.held_out AND assumeNotNull(o.answered)) AS x, countIf(o.held_out) AS m,
            countIf(o.held_out AND assumeNotNull(o.answered)) AS y, 3.84146 AS z2, if(n = 0, NULL, x / n) AS p, if(m = 0, NULL, y / m) AS q,
            sqrt(z2 * (p * (1 - p) + z2 / (4 * n)) / n) AS p_reach, sqrt(z2 * (q * (1 - q) + z2 / (4 * m)) / m) AS q_reach,
            if(x = 0, 0, (p + z2 / (2 * n) - p_reach) / (1 + z2 / n)) AS p_low,
            if(x = n, 1, (p + z2 / (2 * n) + p_reach) / (1 + z2 / n)) AS p_high,
            if(y = 0, 0, (q + z2 / (2 * m) - q_reach) / (1 + z2 / m)) AS q_low,
            if(y = m, 1, (q + z2 / (2 * m) + q_reach) / (1 + z2 / m)) AS q_high
        FROM qunpulse.touch_outcomes AS o
        WHERE o.answered IS NOT NULL
        GROUP BY community_id, kind
    )
SELECT
    community_id, kind, n AS touched, x AS touched_answered, p AS touched_share, m AS held_out, y AS held_out_answered, q AS held_out_share,
    p - q AS effect, effect - sqrt(pow(p - p_low, 2) + pow(q_high - q, 2)) AS effect_low,
    effect + sqrt(pow(p_high - p, 2) + pow(q - q_low, 2)) AS effect_high
FROM counts
COMMENT 'What touches change: those who got one against those held out; a row per community and kind. Times are UTC';
