-- Why a view can be final: see leaderboards. A month appears here once and never changes, as long as the allowed lateness is
-- not made longer and nobody rebuilds history with other events.
CREATE OR REPLACE VIEW qunpulse.month_winners
(
    community_id String COMMENT 'Community',
    month Date COMMENT 'First local day of the month',
    board LowCardinality(String) COMMENT 'most_active, most_replied_to, longest_streak, best_inviters or best_buyers',
    currency LowCardinality(String) COMMENT 'Currency of best_buyers (ISO 4217); empty elsewhere',
    rank UInt64 COMMENT 'Rank, from 1 to 3; equals share a rank',
    member_id String COMMENT 'Member',
    score Int64 COMMENT 'The score of the month, in the unit that leaderboards gives for the board'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
-- ARRAY JOIN in place of WHERE: with a condition on the period, one on the community would not reach the events.
SELECT
    l.community_id AS community_id, l.period_start AS month, l.board AS board, l.currency AS currency, l.rank AS rank,
    l.member_id AS member_id, l.score AS score
FROM qunpulse.leaderboards AS l
ARRAY JOIN if(l.period = 'month' AND l.is_final AND l.rank <= 3, [1], []) AS wins
COMMENT 'The three best of each month that is over for good (month and allowed lateness, by the community''s event clock); a row per community, month, board and winner. Times are UTC; dates are the community''s own';
