-- Members are counted like distinct members in activity_rolling: each is a step of +1 at the week they were first
-- seen in and of -1 at the one they left in; running sums of the steps say how many were there.
-- Weeks are local, and only formatDateTime takes a time zone that differs by row. The instant of a local midnight is
-- its reading with the zone's offset (%z): taken at the same reading in UTC, then at what that gave, which is right
-- also where clocks changed in between.
-- All joins are by community_id: a condition on it reaches the key of every table below.
CREATE OR REPLACE VIEW qunpulse.k_factor
(
    community_id String COMMENT 'Community',
    week_start DateTime('UTC') COMMENT 'Instant (UTC) at which the week begins: Monday 00:00 in the community''s time zone',
    members UInt64 COMMENT 'Members (staff and bots not counted) who were there in the week: first seen before its end and not gone before its start (nor before they were first seen); count',
    invitations UInt64 COMMENT 'Referral events of the week sent by members, self-referrals not counted; count',
    inviters UInt64 COMMENT 'Distinct members who sent them; count',
    accepted UInt64 COMMENT 'Those of these invitations that are the first of their referee to this community (earliest time, then event_id, whoever sent it) and whose referee has a join event no earlier than 10 minutes before that time (connectors report a join and its invitation in either order), in this week or later; count',
    staff_invitations UInt64 COMMENT 'Referral events of the week sent by staff and bots, which count nowhere else; count',
    invitations_per_member Nullable(Float64) COMMENT 'invitations / members; a ratio of counts; NULL without members',
    joins_per_invitation Nullable(Float64) COMMENT 'accepted / invitations; a ratio of counts, 0 to 1; NULL without invitations',
    k_factor Nullable(Float64) COMMENT 'invitations_per_member × joins_per_invitation: how many joins one member''s invitations of the week brought about; a ratio of counts; NULL where one of the two is NULL'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    (on_date, zone, near) ->
        parseDateTimeBestEffort(concat(toString(on_date), 'T00:00:00', formatDateTime(near, '%z', zone)), 'UTC')
        AS midnight,
    zones AS (SELECT community_id, timezone FROM qunpulse_store.communities FINAL WHERE timezone != ''),
    people AS
    (
        SELECT
            community_id, member_id, role IN ('staff', 'bot') AS is_staff, first_seen_at,
            if(status = 'left', left_at, NULL) AS gone_at
        FROM qunpulse_store.members FINAL
        -- who was never on the roster and first acts when a snapshot has missed them: not there at all
        WHERE status != 'left' OR left_at >= first_seen_at
    ),
    joins AS
    (
        SELECT community_id, member_id, max(occurred_at) AS last_joined_at
        FROM qunpulse_store.events FINAL
        WHERE event_type = 'join' AND late = 0 AND action = 'joined'
        GROUP BY community_id, member_id
    ),
    sent AS
    (
        SELECT
            community_id, referrer_id, referee_id, occurred_at,
            row_number() OVER (PARTITION BY community_id, referee_id ORDER BY occurred_at, event_id) = 1 AS is_first
        FROM qunpulse_store.events FINAL
        WHERE event_type = 'referral' AND late = 0 AND referrer_id != referee_id
    ),
    happened AS
    (
        SELECT
            sent.community_id AS community_id, occurred_at AS at, if(referrer.is_staff, 'staff sent', 'sent') AS what,
            referrer_id, is_first AND last_joined_at >= occurred_at - INTERVAL 10 MINUTE AS is_accepted
        FROM sent
        LEFT JOIN people AS referrer
            ON referrer.community_id = sent.community_id AND referrer.member_id = sent.referrer_id
        LEFT JOIN joins ON joins.community_id = sent.community_id AND joins.member_id = sent.referee_id
        UNION ALL
        SELECT community_id, first_seen_at, 'came', '', 0 FROM people WHERE NOT is_staff
        UNION ALL
        SELECT community_id, assumeNotNull(gone_at), 'went', '', 0
        FROM people
        WHERE NOT is_staff AND gone_at IS NOT NULL
    ),
    weeks AS
    (
        SELECT
            community_id, timezone, toMonday(toDate(formatDateTime(at, '%F', timezone))) AS monday,
            toInt64(countIf(what = 'came')) AS came, toInt64(countIf(what = 'went')) AS went,
            countIf(what = 'sent') AS invitations, countIf(what = 'staff sent') AS staff_invitations,
            uniqExactIf(referrer_id, what = 'sent') AS inviters,
            countIf(what = 'sent' AND is_accepted) AS accepted
        FROM happened
        INNER JOIN zones USING (community_id)
        GROUP BY community_id, timezone, monday
    ),
    running AS
    (
        -- whoever went this week was still there in it
        SELECT
            *, toUInt64(sum(came) OVER so_far - sum(went) OVER so_far + went) AS members
        FROM weeks
        WINDOW so_far AS (PARTITION BY community_id ORDER BY monday ROWS UNBOUNDED PRECEDING)
    )
SELECT
    community_id, midnight(monday, timezone, midnight(monday, timezone, toDateTime(monday, 'UTC'))) AS week_start,
    members, invitations, inviters, accepted, staff_invitations,
    invitations / nullIf(members, 0) AS invitations_per_member,
    accepted / nullIf(invitations, 0) AS joins_per_invitation,
    invitations_per_member * joins_per_invitation AS k_factor
FROM running
WHERE invitations + staff_invitations > 0
COMMENT 'How far a community grows by invitations: a row per community and local week with a referral event. An invitation is an applied referral event, accepted when its referee joins; an invitation without a referral event (a join with an inviter) is none. Times are UTC';
