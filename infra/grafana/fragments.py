"""Pieces of SQL that several panels share, and the variables they rest on."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as parts

from infra.grafana.clickhouse_query import CLICKHOUSE

CHOSEN: Final = "$__conditionalAll(community_id IN (${community:sqlstring}), $community)"
"""Condition on the communities that are chosen above the dashboard; none at all when all of them are."""

NAMED: Final = """(
    SELECT
        community_id, if(name = '', community_id, name) AS plain,
        if(count() OVER (PARTITION BY plain) > 1, concat(plain, ' (', community_id, ')'), plain) AS community
    FROM qunpulse.communities
)"""
"""Names of communities. Those that share one have their id behind it: lines of one name would become one line."""

BUSIEST: Final = f"""community_id IN (
    SELECT community_id FROM qunpulse.activity_now
    WHERE window = '30d' AND {CHOSEN} ORDER BY active_members DESC, community_id LIMIT 10
)"""
"""Condition on the ten chosen communities with most active members in 30 days: nobody can tell more lines apart."""

_NO_MINOR: Final = (
    "'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', "
    "'XPF'"
)
_THOUSAND: Final = "'BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND'"
MINOR: Final = (
    f"multiIf(${{currency:sqlstring}} IN ({_NO_MINOR}), 1, ${{currency:sqlstring}} IN ({_THOUSAND}), 1000, 100)"
)
"""Minor units in one unit of the chosen currency (ISO 4217): amounts divided by it are what people read."""


def community_variable() -> dashboard.QueryVariable:
    """One, several or all communities, shown by name.

    Grafana puts the value between quotes and doubles the quotes in it, but leaves a backslash, which ClickHouse takes
    for the beginning of an escape: it is doubled here. An id that ends in one would break every query otherwise.
    """
    return (
        _query_variable(
            "community",
            "Community",
            rf"""
        SELECT replaceAll(community_id, '\\', '\\\\') AS value, community
        FROM {NAMED} ORDER BY community
        """,
        )
        .multi(True)
        .include_all(True)
        .current(parts.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def currency_variable() -> dashboard.QueryVariable:
    """One currency: amounts of two have no sum. The one with most orders comes first."""
    return _query_variable(
        "currency",
        "Currency",
        "SELECT currency FROM qunpulse.revenue_1d GROUP BY currency ORDER BY sum(orders) DESC, currency",
    )


def _query_variable(name: str, label: str, sql: str) -> dashboard.QueryVariable:
    lines = "\n".join(line.strip() for line in sql.strip().splitlines())
    query: dict[str, object] = {"refId": name, "queryType": "sql", "editorType": "sql", "rawSql": lines}
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(CLICKHOUSE)
        .query(query)
        .refresh(parts.VariableRefresh.ON_DASHBOARD_LOAD)
        .sort(parts.VariableSort.DISABLED)
    )
