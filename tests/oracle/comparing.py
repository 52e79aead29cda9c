"""Readable differences between a landed table and the oracle's, over all rows and all expected columns."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

KEYS: dict[str, list[str]] = {
    "activity_1m": ["community_id", "window_start"],
    "activity_1h": ["community_id", "window_start"],
    "activity_1d": ["community_id", "window_start"],
    "activity_now": ["community_id", "window"],
    "activity_rolling": ["community_id", "day", "window"],
    "member_days": ["community_id", "day", "member_id"],
    "revenue_1d": ["community_id", "window_start", "currency"],
    "members": ["community_id", "member_id"],
}

# Columns a view may leave out: they say the same as the key in another form.
_MAY_BE_ABSENT = {"local_date"}
_FLOAT_TOLERANCE = 1e-5  # landed as Float32


def compare(
    table_name: str,
    landed: pa.Table | pd.DataFrame,
    expected: pd.DataFrame,
    *,
    may_be_empty: bool = False,
    show: int = 10,
    keys: list[str] | None = None,
) -> list[str]:
    """First differences in words, an empty list when all rows agree. Columns not expected are not looked at."""
    frame = landed.to_pandas() if isinstance(landed, pa.Table) else landed
    keys = keys or KEYS[table_name]
    if expected.empty and not may_be_empty:
        return [f"{table_name}: the oracle expects no row at all, so nothing would be compared"]
    columns = [name for name in expected.columns if name in frame.columns or name not in _MAY_BE_ABSENT]
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        return [f"{table_name}: column {name} is not there; found {list(frame.columns)}" for name in absent]
    left, right = _comparable(frame[columns], keys), _comparable(expected[columns], keys)

    differences = []
    repeated = left.index[left.index.duplicated()].unique()
    differences += _listed(table_name, "key appears more than once", repeated, left, show)
    if right.index.has_duplicates:
        raise AssertionError(f"the oracle's own {table_name} repeats a key: {right.index[right.index.duplicated()][0]}")
    left = left[~left.index.duplicated()]
    differences += _listed(table_name, "row missing", right.index.difference(left.index), right, show)
    differences += _listed(table_name, "row not expected", left.index.difference(right.index), left, show)

    common = right.index.intersection(left.index)
    ours, theirs = left.loc[common], right.loc[common]
    for name in right.columns:
        unequal = ~_equal(ours[name], theirs[name])
        if not unequal.any():
            continue
        places = np.flatnonzero(unequal)
        differences.append(f"{table_name}.{name}: {len(places)} of {len(common)} rows differ")
        differences += [
            f"  {_key_text(keys, common[place])}: landed {_cell(ours[name].iloc[place])}, "
            f"expected {_cell(theirs[name].iloc[place])}"
            for place in places[:show]
        ]
    return differences


def _comparable(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Times as whole milliseconds or None, dates as text, indexed by the key and sorted."""
    result = pd.DataFrame({name: _plain(frame[name]) for name in frame.columns})
    return result.set_index(keys).sort_index()


def _plain(column: "pd.Series[Any]") -> "pd.Series[Any]":
    if isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M":
        present = column.notna().to_numpy()
        naive = column.dt.tz_convert("UTC").dt.tz_localize(None) if column.dt.tz is not None else column
        at_ms = naive.to_numpy().astype("datetime64[ms]").astype("int64")
        return pd.Series(np.where(present, at_ms.astype("float64"), np.nan)) if not present.all() else pd.Series(at_ms)
    if column.dtype.kind in "fiub":
        return pd.Series(column.to_numpy())
    values = column.tolist()
    if any(isinstance(value, pd.Timestamp) for value in values):
        return _plain(pd.Series(pd.to_datetime(values, utc=True)))
    lists = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
    return pd.Series([None if _absent(value) else str(value) for value in lists], dtype=object)


def _equal(left: "pd.Series[Any]", right: "pd.Series[Any]") -> "np.ndarray[Any, np.dtype[np.bool_]]":
    both_absent = left.isna().to_numpy() & right.isna().to_numpy()
    if left.dtype.kind in "iub" and right.dtype.kind in "iub":
        return np.asarray(left.to_numpy() == right.to_numpy())
    if left.dtype.kind in "fiub" and right.dtype.kind in "fiub":
        close = np.isclose(left.to_numpy("float64"), right.to_numpy("float64"), rtol=_FLOAT_TOLERANCE, atol=0)
        exact_times = np.abs(left.to_numpy("float64")) < 1e9  # epoch milliseconds are compared to the last digit
        return np.where(exact_times, close, left.to_numpy() == right.to_numpy()) | both_absent
    return np.asarray(left.astype(object).to_numpy() == right.astype(object).to_numpy()) | both_absent


def _listed(table: str, what: str, index: "pd.Index[Any]", rows: pd.DataFrame, show: int) -> list[str]:
    if not len(index):
        return []
    first = [f"  {_key_text(list(rows.index.names), key)}: {_row_text(rows, key)}" for key in index[:show]]
    return [f"{table}: {what}: {len(index)}", *first]


def _row_text(rows: pd.DataFrame, key: Any) -> str:
    row = rows.loc[[key]].iloc[0]
    return ", ".join(f"{name}={_cell(value)}" for name, value in row.items() if not _absent(value) and value != 0)


def _key_text(names: list[Any], key: Any) -> str:
    values = key if isinstance(key, tuple) else (key,)  # an index of one column has plain keys
    return " ".join(f"{name}={_cell(value)}" for name, value in zip(names, values, strict=True))


def _cell(value: Any) -> str:
    if isinstance(value, (int, float, np.integer, np.floating)) and not _absent(value) and abs(value) > 9e11:
        return str(pd.Timestamp(int(value), unit="ms", tz="UTC"))
    return str(value)


def _absent(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value))
