"""A real shop's year: UCI Online Retail, the United Kingdom, against pandas on the raw file."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from infra.embedded.stack import EmbeddedStack
from sinks.clickhouse import ClickHouse
from streams.questions.tour import questions, said
from tests.oracle.views_buyers import SEGMENTS
from tests.pipeline import Pipeline, shared_data
from tests.views.feed import with_topics

UK = "retail:united-kingdom"


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    """Orders and refunds of the United Kingdom as the file has them."""
    [path] = shared_data("online_retail/orders.ndjson.gz")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        frame = pd.DataFrame([event for event in map(json.loads, lines) if event["community_id"] == UK])
    frame["at"] = pd.to_datetime(frame["occurred_at"])
    frame["day"] = frame["at"].dt.tz_localize(None).dt.normalize()
    return frame


@pytest.fixture(scope="module")
def shop(raw: pd.DataFrame, stack: EmbeddedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """The same, sent through the pipeline."""
    pipeline = Pipeline(stack, tmp_path_factory.mktemp("retail"), partitions=1)
    try:
        columns = ["occurred_at", "member_id", "order_id", "status", "amount_minor", "currency", "event_id"]
        common = {"event_type": "order", "schema_version": 1, "community_id": UK}
        pipeline.send(with_topics([common | event for event in raw[columns].to_dict("records")]))
        pipeline.start_worker(flush_interval_seconds=1)
        pipeline.wait_landed()
        pipeline.stop_workers()
        yield pipeline.clickhouse
    finally:
        pipeline.close()


@pytest.fixture(scope="module")
def paid(raw: pd.DataFrame) -> pd.DataFrame:
    """Paid orders by time."""
    return raw[raw["status"] == "paid"].sort_values("at")


def test_monthly_gmv_net_of_refunds(shop: ClickHouse, raw: pd.DataFrame) -> None:
    signed = raw["amount_minor"] * raw["status"].map({"paid": 1, "refunded": -1})
    months = signed.groupby(raw["day"].dt.to_period("M")).sum()
    found = shop.rows("SELECT month, net_gmv_minor FROM qunpulse.revenue_monthly WHERE currency = 'GBP' ORDER BY month")
    assert found == [(month.start_time.date(), int(total)) for month, total in months.items()]
    assert len(found) == 13
    orders = shop.scalar("SELECT sum(orders) FROM qunpulse.revenue_monthly")
    assert orders == len(raw[raw["status"] == "paid"])


def test_repurchase_rate_of_the_year(shop: ClickHouse, paid: pd.DataFrame) -> None:
    counts = paid.groupby("member_id").size()
    found = shop.rows("SELECT buyers, repeat_buyers FROM qunpulse.repurchase_window WHERE window = 'all'")
    assert found == [(len(counts), int((counts > 1).sum()))]


def test_repurchase_rate_of_cohorts(shop: ClickHouse, raw: pd.DataFrame, paid: pd.DataFrame) -> None:
    first = paid.groupby("member_id")["at"].nth([0, 1]).groupby(paid["member_id"]).agg(["min", "max", "size"])
    within = (first["size"] == 2) & (first["max"] - first["min"] <= pd.Timedelta(days=90))
    cohorts = within.groupby(first["min"].dt.tz_localize(None).dt.to_period("M")).agg(["size", "sum"])
    latest = raw["day"].max()
    expected = [
        (month.start_time.date(), int(row["size"]), int(row["sum"]) if old else None)
        for month, row in cohorts.iterrows()
        for old in [month.end_time.normalize() + pd.Timedelta(days=90) < latest]  # type: ignore[union-attr]
    ]
    found = shop.rows(
        "SELECT first_order_month, new_buyers, repurchased FROM qunpulse.repurchase_cohorts "
        "WHERE within_days = 90 ORDER BY 1"
    )
    assert found == expected
    assert found[0][0] == dt.date(2010, 12, 1)


def test_repurchase_cycle(shop: ClickHouse, paid: pd.DataFrame) -> None:
    waits = paid.groupby("member_id")["at"].diff().dropna().dt.total_seconds() / 86_400
    [(intervals, median)] = shop.rows("SELECT intervals, median_days FROM qunpulse.repurchase_cycle")
    assert intervals == len(waits)
    assert median == pytest.approx(float(waits.median()))


def test_segments_by_recency_and_frequency(shop: ClickHouse, raw: pd.DataFrame, paid: pd.DataFrame) -> None:
    buyers = paid.groupby("member_id").agg(last=("day", "max"), frequency=("order_id", "nunique"))
    size = len(buyers)

    def score(rank: pd.Series[float]) -> pd.Series[int]:
        return np.ceil((10 * rank - 5) / (2 * size)).astype(int)

    recency, frequency = score(buyers["last"].rank()), score(buyers["frequency"].rank())
    segments = pd.Series([SEGMENTS[r][f - 1] for r, f in zip(recency, frequency, strict=True)]).value_counts()
    found = dict(shop.rows("SELECT segment, buyers FROM qunpulse.rfm_segments WHERE currency = 'GBP'"))
    assert found == segments.to_dict()
    assert sum(found.values()) == raw.loc[raw["status"] == "paid", "member_id"].nunique()


def test_the_answers_of_the_tour_are_these(shop: ClickHouse) -> None:
    """Figures of the United Kingdom in docs/questions.md: the tests above show that the views are right."""
    page = Path(__file__).parents[2] / "docs" / "questions.md"
    asked = [one for one in questions(page.read_text(encoding="utf-8")) if UK in one.sql]
    wanted = {"revenue_monthly", "repurchase_window", "repurchase_cohorts", "repurchase_cycle", "rfm_segments"}
    assert wanted <= {view for one in asked for view in re.findall(r"qunpulse\.(\w+)", one.sql)}
    for one in asked:
        written = one.answer.partition("\n\n![")[0]
        assert said(one, shop.query_arrow(one.sql).to_pylist()) == written, one.heading
