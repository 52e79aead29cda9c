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
DEAD_LETTERS: Final = f"{STORE}.dead_letters"
ACCOUNTING: Final = f"{STORE}.accounting"
STATE: Final = f"{STORE}.state"
CLAIMS: Final = f"{STORE}.claims"
MIGRATIONS: Final = f"{STORE}.migrations"

# The figures of an activity window, in the order of every activity table and view.
FIGURES: Final = (
    "messages",
    "speakers",
    "interactions",
    "active_members",
    "staff_messages",
    "joins",
    "leaves",
    "orders",
    "refunds",
    "buyers",
    "promotions",
    "links",
    "check_ins",
    "replies",
)
