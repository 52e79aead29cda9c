"""Rows put straight into base tables: many small made-up communities, for what a statistic promises on average."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from sinks.clickhouse import ClickHouse

SEEDS = 200
"""How many communities stand for as many runs of an experiment, each with a random stream of its own."""

FALSE_FINDINGS = 20
"""Of `SEEDS` runs with a 5 % error each, more than 20 would err once in a thousand times (binomial, mean 10)."""


def put(clickhouse: ClickHouse, table: str, columns: Mapping[str, Any], **types: pa.DataType) -> None:
    """Insert columns (lists or numpy arrays) into a base table."""
    rows = {name: pa.array(values, types.get(name)) for name, values in columns.items()}
    clickhouse.insert_arrow(f"qunpulse_store.{table}", pa.table(rows))


def seconds(values: np.ndarray[Any, Any]) -> pa.Array:
    """Instants from seconds since 1970."""
    return pa.array(values.astype("int64")).cast(pa.timestamp("s", "UTC"))


def milliseconds(values: np.ndarray[Any, Any]) -> pa.Array:
    """Instants from milliseconds since 1970."""
    return pa.array(values.astype("int64")).cast(pa.timestamp("ms", "UTC"))


def clumped(chance: np.random.Generator, mean: Any, dispersion: float, shape: Any) -> np.ndarray[Any, Any]:
    """Counts with variance = dispersion × mean (negative binomial; dispersion > 1), as chats and shops have them."""
    return chance.negative_binomial(np.asarray(mean) / (dispersion - 1), 1 / dispersion, shape)
