"""A query as Grafana's ClickHouse plugin keeps it in a dashboard; the SDK has no builder for that plugin."""

from __future__ import annotations

from typing import Final, Literal, Self

from grafana_foundation_sdk.cog import builder, variants
from grafana_foundation_sdk.models.dashboard import DataSourceRef

PLUGIN: Final = "grafana-clickhouse-datasource"
CLICKHOUSE: Final = DataSourceRef(type_val=PLUGIN, uid="qunpulse-clickhouse")

Shape = Literal["series", "table"]
_FORMATS: Final = {"series": ("timeseries", 0), "table": ("table", 1)}
"""What the editor shows, and the number that decides how the plugin's backend shapes the answer."""


class ClickHouseDataquery(variants.Dataquery):
    """One statement with the plugin's macros and the dashboard's variables in it."""

    def __init__(self, sql: str, shape: Shape) -> None:
        self.sql = sql
        self.shape = shape
        self.ref_id = "A"

    def to_json(self) -> dict[str, object]:
        """As in the `targets` of a panel."""
        query_type, number = _FORMATS[self.shape]
        return {
            "refId": self.ref_id,
            "datasource": CLICKHOUSE,
            "editorType": "sql",
            "queryType": query_type,
            "format": number,
            "rawSql": self.sql,
        }


class ClickHouseQuery(builder.Builder[variants.Dataquery]):
    """Builder of a query, as the SDK's builders are."""

    def __init__(self, sql: str, shape: Shape) -> None:
        self._internal = ClickHouseDataquery(sql, shape)

    def ref_id(self, ref_id: str) -> Self:
        """Letter of the query in its panel."""
        self._internal.ref_id = ref_id
        return self

    def build(self) -> ClickHouseDataquery:
        """The query."""
        return self._internal
