-- Members who said nothing are zeros at the low end of the order, so they need only be counted: with x ascending over all
-- n members, Gini = 2 * sum(i * x_i) / (n * sum(x)) - (n + 1) / n, and the k who spoke hold the ranks n - k + 1 to n.
CREATE OR REPLACE VIEW qunpulse.participation_inequality
(
    community_id String COMMENT 'Community',
    month Date COMMENT 'First day of the calendar month in the community''s time zone',
    as_of_date Date COMMENT 'Local day at whose end the roster is taken: the month''s last day, or the latest day with figures',
    roster UInt64 COMMENT 'Members (no staff, no bots) on the roster at the end of that day; count',
    speakers UInt64 COMMENT 'Those of them with a message of a speaking kind in the month; count',
    messages UInt64 COMMENT 'Messages of speaking kinds of those members in the month; count',
    gini Nullable(Float64) COMMENT 'Gini coefficient of the messages over the whole roster, silent members included; ratio from 0 (all alike) to 1 - 1 / roster (one speaks); NULL without messages',
    top_1_percent_share Nullable(Float64) COMMENT 'Part of the messages written by the busiest 1 % of the roster (rounded up to whole members); share from 0 to 1; NULL without messages',
    next_9_percent_share Nullable(Float64) COMMENT 'Part of the messages written by the members between the busiest 1 % and the busiest 10 % (both rounded up); share from 0 to 1; NULL without messages',
    other_90_percent_share Nullable(Float64) COMMENT 'Part of the messages written by everybody else; share from 0 to 1; NULL without messages'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    months AS
    (
        SELECT community_id, groupArray((month, as_of_date)) AS listed
        FROM
        (
            SELECT community_id, toStartOfMonth(local_date) AS month, max(local_date) AS as_of_date
            FROM qunpulse_store.community_days FINAL
            GROUP BY community_id, month
        )
        GROUP BY community_id
    ),
    spoken AS
    (
        SELECT community_id, member_id, CAST((groupArray(month), groupArray(said)), 'Map(Date, UInt64)') AS said_in
        FROM
        (
            SELECT community_id, member_id, toStartOfMonth(local_date) AS month, sum(messages) AS said
            FROM qunpulse_store.member_days FINAL
            WHERE messages > 0
            GROUP BY community_id, member_id, month
        )
        GROUP BY community_id, member_id
    ),
    -- a member has one stay at most that covers the end of a month
    counted AS
    (
        SELECT
            community_id, on_roster.1 AS month, on_roster.2 AS as_of_date,
            count() AS roster, arraySort(groupArrayIf(said_in[month], said_in[month] > 0)) AS said_by
        FROM qunpulse.roster_spells
        INNER JOIN months USING (community_id)
        LEFT JOIN spoken USING (community_id, member_id)
        ARRAY JOIN arrayFilter
        (
            listing -> since_date <= listing.2 AND ifNull(until_date > listing.2, 1), listed
        ) AS on_roster
        WHERE NOT employed
        GROUP BY community_id, month, as_of_date
    )
SELECT
    community_id, month, as_of_date, roster, length(said_by) AS speakers, arraySum(said_by) AS messages,
    2 * arraySum((said, place) -> said * (roster - speakers + place), said_by, arrayEnumerate(said_by))
        / nullIf(roster * messages, 0) - (roster + 1) / roster AS gini,
    arraySum(arraySlice(said_by, -toInt64(ceil(roster / 100)))) / nullIf(messages, 0) AS top_1_percent_share,
    arraySum(arraySlice(said_by, -toInt64(ceil(roster / 10)))) / nullIf(messages, 0) - top_1_percent_share
        AS next_9_percent_share,
    1 - top_1_percent_share - next_9_percent_share AS other_90_percent_share
FROM counted
COMMENT 'How unevenly a month''s messages are spread over the roster (the 90-9-1 rule says 1 % write most); a row per community and local calendar month at whose end anybody was on the roster. Times are UTC; dates are the community''s own';
