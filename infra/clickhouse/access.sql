-- Who may do what in ClickHouse: `owner` makes tables and views, `writer` fills them, `bi` reads the views.
--
--   clickhouse-client --user admin --password … \
--     --param_owner_password="$(cat owner.secret)" --param_writer_password="$(cat writer.secret)" \
--     --param_bi_password="$(cat bi.secret)" --queries-file infra/clickhouse/access.sql
--
-- It may be run before `qunpulse migrate` and again at any time. Each program names its user in QUNPULSE_CLICKHOUSE_USER:
-- `qunpulse migrate`, `doctor` and `identities import` (which migrates first) run as owner, all others as writer.
-- Everything here is at the server's word only while its config has access_control_improvements/
-- select_from_system_db_requires_grant on (as shipped): else every user reads system tables.

-- -- owner: `qunpulse migrate`, the DEFINER of all views, which read the store with its rights ----------------------

CREATE USER IF NOT EXISTS owner IDENTIFIED WITH sha256_password BY {owner_password:String};

GRANT CREATE DATABASE, CREATE TABLE, ALTER TABLE, SELECT ON qunpulse_store.* TO owner;
GRANT INSERT ON qunpulse_store.migrations TO owner;
GRANT INSERT, ALTER DELETE ON qunpulse_store.identities TO owner;
GRANT CREATE DATABASE, CREATE VIEW, DROP VIEW, SELECT ON qunpulse.* TO owner;
GRANT TABLE ENGINE ON ReplacingMergeTree TO owner;
-- `qunpulse doctor`, which looks at migrations, claims and disks.
GRANT SELECT ON system.disks TO owner;

-- -- writer: workers, alert delivery, and the commands of people who run them ------------------------------------------

CREATE USER IF NOT EXISTS writer IDENTIFIED WITH sha256_password BY {writer_password:String};

-- A worker: claims and state, read back after every start; expired state is deleted.
GRANT SELECT, INSERT ON qunpulse_store.claims TO writer;
GRANT SELECT, INSERT, ALTER DELETE ON qunpulse_store.state TO writer;

-- A worker: events, dead letters and figures.
GRANT INSERT ON qunpulse_store.accounting TO writer;
GRANT INSERT ON qunpulse_store.activity_1d TO writer;
GRANT INSERT ON qunpulse_store.activity_1h TO writer;
GRANT INSERT ON qunpulse_store.activity_1m TO writer;
GRANT INSERT ON qunpulse_store.activity_now TO writer;
GRANT INSERT ON qunpulse_store.alert_feeds TO writer;
GRANT INSERT ON qunpulse_store.alert_mutes TO writer;
GRANT INSERT ON qunpulse_store.alert_verdicts TO writer;
GRANT INSERT ON qunpulse_store.alerts TO writer;
GRANT INSERT ON qunpulse_store.communities TO writer;
GRANT INSERT ON qunpulse_store.community_days TO writer;
GRANT INSERT ON qunpulse_store.dead_letters TO writer;
GRANT INSERT ON qunpulse_store.events TO writer;
GRANT INSERT ON qunpulse_store.member_days TO writer;
GRANT INSERT ON qunpulse_store.members TO writer;
GRANT INSERT ON qunpulse_store.milestones TO writer;
GRANT INSERT ON qunpulse_store.referral_credits TO writer;
GRANT INSERT ON qunpulse_store.referral_edges TO writer;
GRANT INSERT ON qunpulse_store.referral_nodes TO writer;
GRANT INSERT ON qunpulse_store.referral_revenue TO writer;
GRANT INSERT ON qunpulse_store.revenue_1d TO writer;
GRANT INSERT ON qunpulse_store.touches TO writer;

-- A worker: the rules file, landed anew when it changes; zones that events named are looked up in the communities.
GRANT INSERT, ALTER DELETE ON qunpulse_store.campaign_rules TO writer;
GRANT INSERT, ALTER DELETE ON qunpulse_store.community_rules TO writer;
GRANT INSERT, ALTER DELETE ON qunpulse_store.definitions TO writer;
GRANT INSERT, ALTER DELETE ON qunpulse_store.event_spans TO writer;
GRANT INSERT, ALTER DELETE ON qunpulse_store.move_rules TO writer;
GRANT INSERT, ALTER DELETE ON qunpulse_store.point_rewards TO writer;
GRANT INSERT, ALTER DELETE ON qunpulse_store.service_hours TO writer;
GRANT INSERT, ALTER DELETE ON qunpulse_store.timezone_offsets TO writer;
GRANT SELECT ON qunpulse_store.communities TO writer;

-- `qunpulse alerts deliver`: what is owed to whom; whether who left is still in another community of the platform.
GRANT SELECT, INSERT ON qunpulse_store.alert_deliveries TO writer;
GRANT SELECT ON qunpulse_store.members TO writer;

-- The same, and `qunpulse model fit`.
GRANT SELECT ON qunpulse_store.events TO writer;

-- `qunpulse model fit`.
GRANT SELECT ON qunpulse_store.member_days TO writer;

-- `qunpulse deadletters`, `referrals` and `alerts show`, which show more than a view does.
GRANT SELECT ON qunpulse_store.alert_verdicts TO writer;
GRANT SELECT ON qunpulse_store.dead_letters TO writer;
GRANT SELECT ON qunpulse_store.referral_edges TO writer;
GRANT SELECT ON qunpulse.* TO writer;

-- -- bi: BI tools and people who ask; reads the views, within limits ---------------------------------------------------

-- 0 means "no limit" to ClickHouse, hence MIN 1: without it a query could lift its own limit by setting it to 0.
CREATE SETTINGS PROFILE IF NOT EXISTS bi SETTINGS
    readonly = 2,
    allow_ddl = 0 CONST,
    allow_introspection_functions = 0 CONST,
    max_execution_time = 60 MIN 1 MAX 60,
    max_result_rows = 1000000 MIN 1 MAX 1000000,
    max_rows_to_read = 2000000000 MIN 1 MAX 2000000000,
    max_memory_usage = 4000000000 MIN 1 MAX 4000000000,
    max_threads = 4 MIN 1 MAX 4,
    max_concurrent_queries_for_user = 16 CONST,
    result_overflow_mode = 'throw' CONST,
    timeout_overflow_mode = 'throw' CONST,
    read_overflow_mode = 'throw' CONST;

CREATE USER IF NOT EXISTS bi IDENTIFIED WITH sha256_password BY {bi_password:String}
    DEFAULT DATABASE qunpulse SETTINGS PROFILE 'bi';

CREATE QUOTA IF NOT EXISTS bi KEYED BY user_name
    FOR INTERVAL 1 minute MAX queries = 300, errors = 100,
    FOR INTERVAL 1 hour MAX queries = 5000, result_rows = 20000000, read_rows = 20000000000, execution_time = 3600
    TO bi;

GRANT SELECT ON qunpulse.* TO bi;
