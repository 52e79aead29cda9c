-- One UNION grouped by campaign and member: a condition on campaign_id reaches the key of every referral table.
-- What a referee did counts in the community of its linked edge, where its inviter brought it.
CREATE OR REPLACE VIEW qunpulse.referral_leaderboard
(
    campaign_id String COMMENT 'Campaign; organic:<community> for invitations that name none',
    member_id String COMMENT 'Member who brought somebody: referrer of a linked edge',
    is_staff UInt8 COMMENT '1 when it referred as staff or bot; such members are ranked among themselves',
    rank UInt64 COMMENT 'Rank in the campaign among members (or among staff): most matured first, then most direct; equals share a rank number',
    direct UInt64 COMMENT 'Members it brought itself (linked edges); count',
    matured UInt64 COMMENT 'Of these, with a credit that is matured and not reversed; count',
    reversed UInt64 COMMENT 'Of these, with a credit that was reversed because they left; count',
    still_here UInt64 COMMENT 'Of these, seen in the community they were brought to and not gone from it (active or observed); count',
    average_stay_days Nullable(Float64) COMMENT 'Mean over those of these who joined: from their latest joining until they left, else until as_of; days of 24 hours; NULL when nobody joined',
    revenue_minor Map(String, Int64) COMMENT 'Paid minus refunded amounts of those it brought itself, by currency (ISO 4217), as in referral_revenue; minor units of the currency (cents); a currency that comes to 0 is left out',
    subtree_revenue_minor Map(String, Int64) COMMENT 'The same of everybody below it at any depth; minor units of the currency (cents); a currency that comes to 0 is left out',
    as_of Nullable(DateTime64(3, 'UTC')) COMMENT 'Largest event time applied in any community, until which stays are measured (UTC, milliseconds)'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    (SELECT max(event_clock) FROM qunpulse_store.accounting FINAL) AS clock,
    brought AS
    (
        SELECT campaign_id, referrer_id, referee_id, community_id
        FROM qunpulse_store.referral_edges FINAL
        WHERE state = 'linked'
    ),
    figures AS
    (
        SELECT
            campaign_id, member_id, staff, direct, matured_direct, reversed_direct, 0 AS here, NULL AS stay_ms,
            [] AS own_currencies, [] AS own_minor, [] AS below_currencies, [] AS below_minor
        FROM qunpulse_store.referral_nodes FINAL
        WHERE direct > 0
        UNION ALL
        SELECT
            brought.campaign_id, brought.referrer_id, 0, 0, 0, 0, status != 'left',
            dateDiff('millisecond', joined_at, if(status = 'left', left_at, clock)), [], [], [], []
        FROM brought
        INNER JOIN (SELECT * FROM qunpulse_store.members FINAL) AS members
            ON members.community_id = brought.community_id AND members.member_id = brought.referee_id
        UNION ALL
        SELECT
            brought.campaign_id, brought.referrer_id, 0, 0, 0, 0, 0, NULL,
            [toString(currency)], [own_paid_minor - own_refunded_minor], [], []
        FROM brought
        INNER JOIN (SELECT * FROM qunpulse_store.referral_revenue FINAL) AS money
            ON money.campaign_id = brought.campaign_id AND money.member_id = brought.referee_id
        UNION ALL
        SELECT
            campaign_id, member_id, 0, 0, 0, 0, 0, NULL,
            [], [], [toString(currency)], [subtree_paid_minor - subtree_refunded_minor]
        FROM qunpulse_store.referral_revenue FINAL
    ),
    counted AS
    (
        SELECT
            campaign_id, member_id, max(staff) AS is_staff, sum(direct) AS brought_directly,
            sum(matured_direct) AS matured, sum(reversed_direct) AS reversed, sum(here) AS still_here,
            avgOrNull(stay_ms) / 86400000 AS average_stay_days,
            sumMap(own_currencies, own_minor) AS own, sumMap(below_currencies, below_minor) AS below
        FROM figures
        GROUP BY campaign_id, member_id
        HAVING brought_directly > 0
    )
SELECT
    campaign_id, member_id, is_staff,
    rank() OVER (PARTITION BY campaign_id, is_staff ORDER BY matured DESC, brought_directly DESC) AS rank,
    brought_directly AS direct, matured, reversed, still_here, average_stay_days,
    mapFromArrays(own.1, own.2) AS revenue_minor, mapFromArrays(below.1, below.2) AS subtree_revenue_minor,
    clock AS as_of
FROM counted
COMMENT 'Who brings how many into a campaign, what became of them and what they bought; a row per campaign and member with a linked edge. Times are UTC';
