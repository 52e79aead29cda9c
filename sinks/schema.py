"""Names of the databases and tables that qunpulse writes to; nobody else spells them out.

`STORE` holds base tables (versions, checkpoints, claims), `MART` the views that people and BI tools read.
"""

from __future__ import annotations

from typing import Final

STORE: Final = "qunpulse_store"
MART: Final = "qunpulse"

EVENTS: Final = f"{STORE}.events"
ACTIVITY_1M: Final = f"{STORE}.activity_1m"
ACTIVITY_1H: Final = f"{STORE}.activity_1h"
ACTIVITY_1D: Final = f"{STORE}.activity_1d"
ACTIVITY_NOW: Final = f"{STORE}.activity_now"
COMMUNITY_DAYS: Final = f"{STORE}.community_days"
MEMBER_DAYS: Final = f"{STORE}.member_days"
REVENUE_1D: Final = f"{STORE}.revenue_1d"
MEMBERS: Final = f"{STORE}.members"
COMMUNITIES: Final = f"{STORE}.communities"
COMMUNITY_RULES: Final = f"{STORE}.community_rules"
REFERRAL_NODES: Final = f"{STORE}.referral_nodes"
REFERRAL_EDGES: Final = f"{STORE}.referral_edges"
REFERRAL_CREDITS: Final = f"{STORE}.referral_credits"
REFERRAL_REVENUE: Final = f"{STORE}.referral_revenue"
MILESTONES: Final = f"{STORE}.milestones"
IDENTITIES: Final = f"{STORE}.identities"
TIMEZONE_OFFSETS: Final = f"{STORE}.timezone_offsets"
SERVICE_HOURS: Final = f"{STORE}.service_hours"
DEFINITIONS: Final = f"{STORE}.definitions"
MOVE_RULES: Final = f"{STORE}.move_rules"
POINT_REWARDS: Final = f"{STORE}.point_rewards"
CAMPAIGN_RULES: Final = f"{STORE}.campaign_rules"
EVENT_SPANS: Final = f"{STORE}.event_spans"
DEAD_LETTERS: Final = f"{STORE}.dead_letters"
ACCOUNTING: Final = f"{STORE}.accounting"
STATE: Final = f"{STORE}.state"
CLAIMS: Final = f"{STORE}.claims"
ALERTS: Final = f"{STORE}.alerts"
ALERT_DELIVERIES: Final = f"{STORE}.alert_deliveries"
ALERT_VERDICTS: Final = f"{STORE}.alert_verdicts"
ALERT_MUTES: Final = f"{STORE}.alert_mutes"
TOUCHES: Final = f"{STORE}.touches"
MIGRATIONS: Final = f"{STORE}.migrations"
