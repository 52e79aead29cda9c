"""`qunpulse model fit` from what a worker landed, and a worker that uses the model."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.embedded.stack import EmbeddedStack
from schemas.topics import MESSAGES, ORDERS
from streams.app import _alerting
from streams.backtest.events import read_feed
from streams.backtest.replay import history_in
from streams.cli.main import app
from streams.errors import ConfigError
from streams.model_file import load_model
from streams.model_fit import fit_buyers, fit_silence
from streams.rules_model import Rules
from streams.settings import Settings
from tests.alert_replay import buys
from tests.pipeline import WORKER, Pipeline
from tests.unit.test_backtest import habits, write


def test_a_model_fitted_on_clickhouse_is_the_one_fitted_on_the_events(
    pipeline: Pipeline, stack: EmbeddedStack, tmp_path: Path
) -> None:
    feed = habits(9, members=70, days=120)
    for number in range(260):
        for day in range(number % 20, 110, 9 + number % 30):
            order = f"o{number}-{day}"
            feed.append(buys(f"m{number}", day, order, "a", amount_minor=500))
            if day % 11 == 0:
                back = {"status": "refunded", "original_order_id": order, "amount_minor": 500}
                feed.append(buys(f"m{number}", day + 0.2, f"r-{order}", "a", **back))
    feed.sort(key=lambda one: str(one["occurred_at"]))
    pipeline.start_worker()
    pipeline.send(((ORDERS if one["event_type"] == "order" else MESSAGES, one) for one in feed), flush_every=50)
    pipeline.wait_landed()

    out = tmp_path / "模型.json"
    result = CliRunner().invoke(app, ["model", "fit", "--out", str(out), "--data", str(stack.data_dir)])
    assert result.exit_code == 0, result
    assert "log-likelihood" in result.stdout

    history = history_in(read_feed([write(tmp_path / "feed.ndjson", feed)]), Rules())
    silence, buyers = fit_silence(history, "ClickHouse"), fit_buyers(history, "ClickHouse")
    found = load_model(out)
    assert found.silence == silence
    assert buyers is not None
    assert found.buyers.customers == buyers.customers
    assert found.buyers.log_likelihood == pytest.approx(buyers.log_likelihood, abs=0.01)
    assert tuple(found.buyers.parameters)[:2] == pytest.approx(tuple(buyers.parameters)[:2], rel=1e-3)
    assert _alerting(Settings(churn_model_file=out)).model == found


def test_a_model_file_that_is_none_stops_with_a_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError, match="qunpulse model fit"):
        load_model(broken)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_model(tmp_path / "absent.json")
    environment = os.environ | {"QUNPULSE_CHURN_MODEL_FILE": str(broken)}
    worker = subprocess.run(WORKER, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert worker.returncode == 2
    assert f"churn model {broken}" in worker.stderr
    assert "Traceback" not in worker.stderr
