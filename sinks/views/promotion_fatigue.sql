CREATE OR REPLACE VIEW qunpulse.promotion_fatigue
(
    community_id String COMMENT 'Community',
    dose UInt64 COMMENT 'Promotions posted in the 168 hours before a day while the member was on the roster; count',
    member_days UInt64 COMMENT 'Members on the roster at the start of a local day with this dose, over all days; count',
    quits UInt64 COMMENT 'Of these, quits (left or gone, not removed) on that day; count',
    quit_share Float64 COMMENT 'quits ÷ member_days: chance to quit within a day; share',
    quit_low Float64 COMMENT 'Lower end of the 95 % interval of quit_share (Wilson 1927, without regard to days on which many leave together); share',
    quit_high Float64 COMMENT 'Upper end of the 95 % interval of quit_share (as the lower); share',
    active_member_days UInt64 COMMENT 'Of the member_days, those of members active in the 7 local days before; count',
    silent_member_days UInt64 COMMENT 'Of these, without a message, interaction or paid order in the 7 local days from then on; count',
    silent_share Nullable(Float64) COMMENT 'silent_member_days ÷ active_member_days: chance to fall silent; share, NULL without any',
    silent_low Nullable(Float64) COMMENT 'Lower end of the 95 % interval of silent_share (Wilson 1927); share, NULL without any',
    silent_high Nullable(Float64) COMMENT 'Upper end of the 95 % interval of silent_share (Wilson 1927); share, NULL without any'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    doses AS
    (
        SELECT
            community_id, dose, sum(e.members) AS member_days, sum(e.quits) AS quits,
            sum(e.recently_active) AS active, sum(e.fell_silent) AS silent,
            3.84146 AS z2, quits / member_days AS quit_share, if(active = 0, NULL, silent / active) AS silent_share
        FROM qunpulse.promotion_exposure AS e
        GROUP BY community_id, dose
    )
SELECT
    community_id, dose, member_days, quits, quit_share,
    if(quits = 0, 0, (quit_share + z2 / (2 * member_days)
        - sqrt(z2 * (quit_share * (1 - quit_share) + z2 / (4 * member_days)) / member_days)) / (1 + z2 / member_days))
        AS quit_low,
    if(quits = member_days, 1, (quit_share + z2 / (2 * member_days)
        + sqrt(z2 * (quit_share * (1 - quit_share) + z2 / (4 * member_days)) / member_days)) / (1 + z2 / member_days))
        AS quit_high,
    active AS active_member_days, silent AS silent_member_days, silent_share,
    if(silent = 0, silent_share, (silent_share + z2 / (2 * active)
        - sqrt(z2 * (silent_share * (1 - silent_share) + z2 / (4 * active)) / active)) / (1 + z2 / active)) AS silent_low,
    if(silent = active, silent_share, (silent_share + z2 / (2 * active)
        + sqrt(z2 * (silent_share * (1 - silent_share) + z2 / (4 * active)) / active)) / (1 + z2 / active)) AS silent_high
FROM doses
COMMENT 'How quitting and falling silent go with the number of promotions of the last 7 days; a row per community and dose. Times are UTC';
