-- A step: members quit at one rate below a dose and at a higher one from it on. The likeliest step is where the binomial
-- likelihood is largest; the interval has all steps whose log likelihood is within 1.92 of it (profile likelihood: Pawitan,
-- In All Likelihood, 2001, 2.6). Quits come together on some days, so the gain in likelihood is divided by the
-- dispersion (Pearson's statistic of the days), and so is its limit; a step is a finding when its signed root
-- exceeds the one-sided normal quantile of 0.05 / number of possible steps (Bonferroni). The quantile is Abramowitz &
-- Stegun 26.2.23 (error below 0.00045).
CREATE OR REPLACE VIEW qunpulse.promotion_fatigue_dose
(
    community_id String COMMENT 'Community',
    member_days UInt64 COMMENT 'Members on the roster at the start of a local day, over all days; count',
    quits UInt64 COMMENT 'Quits on these days; count',
    dispersion Float64 COMMENT 'How much more than chance alone the quits of days vary (Pearson''s statistic ÷ its degrees of freedom, at least 1); ratio',
    rises UInt8 COMMENT '1 when quits rise with the dose more than chance explains (5 % error, allowing for the choice of the step), else 0',
    dose Nullable(UInt64) COMMENT 'Promotions in 168 hours from which quits rise; count, NULL when they do not',
    dose_low Nullable(UInt64) COMMENT 'Lower end of its 95 % interval (profile likelihood); count, NULL when they do not rise',
    dose_high Nullable(UInt64) COMMENT 'Upper end of its 95 % interval (profile likelihood); count, NULL when they do not rise',
    quit_share_below Nullable(Float64) COMMENT 'Chance to quit within a day below that dose; share, NULL when it does not rise',
    quit_share_from Nullable(Float64) COMMENT 'Chance to quit within a day from that dose on; share, NULL when it does not rise',
    times Nullable(Float64) COMMENT 'quit_share_from ÷ quit_share_below, half a quit added to both; ratio, NULL when it does not rise',
    times_low Nullable(Float64) COMMENT 'Lower end of its 95 % interval (normal for its logarithm, with the dispersion); ratio, NULL when it does not rise',
    times_high Nullable(Float64) COMMENT 'Upper end of its 95 % interval (as the lower); ratio, NULL when it does not rise'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    cells AS
    (
        SELECT
            community_id, dose, members, quits,
            sum(members) OVER date AS members_of_day, sum(quits) OVER date AS quits_of_day, count() OVER date AS cells_of_day
        FROM qunpulse.promotion_exposure
        WINDOW date AS (PARTITION BY community_id, local_date)
    ),
    doses AS
    (
        SELECT
            community_id, dose, sum(c.members) AS n, sum(c.quits) AS q,
            sum(1 / c.cells_of_day) AS days, sum(c.quits_of_day * c.quits_of_day / c.members_of_day / c.cells_of_day) AS squares
        FROM cells AS c
        GROUP BY community_id, dose
    ),
    steps AS
    (
        SELECT
            community_id, dose, sum(n) OVER every AS n_all, sum(q) OVER every AS q_all,
            sum(n) OVER below AS n0, sum(q) OVER below AS q0, n_all - n0 AS n1, q_all - q0 AS q1,
            count() OVER every - 1 AS choices, sum(days) OVER every AS days_all, sum(squares) OVER every AS squares_all,
            q_all / n_all AS share,
            if(share = 0 OR share = 1 OR days_all < 1.5, 1, greatest(1,
                (squares_all / share - 2 * q_all + share * n_all) / (1 - share) / (days_all - 1))) AS dispersion,
            if(n0 = 0 OR n1 = 0 OR q1 * n0 <= q0 * n1, 0, 2 / dispersion * (
                if(q0 = 0, 0, q0 * log(q0 / n0 / share)) + if(q0 = n0, 0, (n0 - q0) * log((1 - q0 / n0) / (1 - share)))
                + q1 * log(q1 / n1 / share) + if(q1 = n1, 0, (n1 - q1) * log((1 - q1 / n1) / (1 - share))))) AS gain
        FROM doses
        WINDOW
            every AS (PARTITION BY community_id),
            below AS (PARTITION BY community_id ORDER BY dose ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ),
    judged AS
    (
        SELECT
            community_id, any(n_all) AS member_days, any(q_all) AS quits, any(steps.dispersion) AS dispersion,
            max(gain) AS best_gain, argMax((dose, n0, q0, n1, q1), (gain, -toInt64(dose))) AS best,
            arraySort(groupArrayIf((dose, gain), n0 > 0)) AS candidates,
            arrayMap(c -> c.1, arrayFilter(c -> c.2 > 0 AND c.2 >= best_gain - 3.84146, candidates)) AS likely,
            sqrt(-2 * log(0.05 / greatest(1, any(choices)))) AS tail,
            tail - (2.515517 + 0.802853 * tail + 0.010328 * tail * tail)
                / (1 + 1.432788 * tail + 0.189269 * tail * tail + 0.001308 * tail * tail * tail) AS needed,
            sqrt(best_gain) > needed AS rises,
            (best.5 + 0.5) / (best.4 + 0.5) / ((best.3 + 0.5) / (best.2 + 0.5)) AS ratio,
            exp(1.95996 * sqrt(dispersion * (1 / (best.5 + 0.5) + 1 / (best.3 + 0.5)))) AS factor
        FROM steps
        GROUP BY community_id
    )
SELECT
    community_id, member_days, quits, dispersion, rises,
    if(rises, best.1, NULL) AS dose, if(rises, arrayMin(likely), NULL) AS dose_low,
    if(rises, arrayMax(likely), NULL) AS dose_high, if(rises, best.3 / best.2, NULL) AS quit_share_below,
    if(rises, best.5 / best.4, NULL) AS quit_share_from, if(rises, ratio, NULL) AS times,
    if(rises, ratio / factor, NULL) AS times_low, if(rises, ratio * factor, NULL) AS times_high
FROM judged
COMMENT 'From which number of promotions in 7 days on members quit more: a row per community with a roster. It compares days with many promotions to days with few; what else differed on those days is not told apart. Times are UTC';
