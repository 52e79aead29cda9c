"""P(alive) and the fit of the purchase models: against what was published, an independent package, and the process."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.model_fit import fit_parameters, purchase_statistics
from streams.operators.bgnbd import Family, Floats, PurchaseParameters, lapses_at, log_likelihood, p_alive
from streams.operators.churn_model import KINDS, LONGEST_DAYS, decode_model, encode_model, shipped_model
from tests.pipeline import shared_data

MBG = PurchaseParameters(0.525, 6.183, 0.891, 1.614)


def cdnow() -> tuple[Floats, Floats, Floats]:
    (path,) = shared_data("cdnow/customers_summary.csv")
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    x, t_x, observed = (
        np.array([float(row[name]) for row in rows]) for name in ("repeat_purchases", "recency_weeks", "observed_weeks")
    )
    return x, t_x, observed


def test_bg_nbd_on_cdnow_gives_the_published_estimates() -> None:
    """Fader, Hardie & Lee 2005, section 4."""
    found, likelihood = fit_parameters(*cdnow(), "bg/nbd")
    assert [round(value, 3) for value in found] == [0.243, 4.414, 0.793, 2.426]
    assert round(likelihood, 1) == -9582.4


def test_mbg_nbd_on_cdnow_equals_an_independent_package_to_three_digits() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package is old; its warnings are its own
        from lifetimes import ModifiedBetaGeoFitter

        x, t_x, observed = cdnow()
        theirs = ModifiedBetaGeoFitter().fit(x, t_x, observed)
        alive = np.asarray(theirs.conditional_probability_alive(x, t_x, observed))
    found, likelihood = fit_parameters(x, t_x, observed, "mbg/nbd")
    assert [f"{value:.3g}" for value in found] == [f"{theirs.params_[name]:.3g}" for name in ("r", "alpha", "a", "b")]
    assert round(likelihood, 1) == -9582.1
    assert p_alive(found, x, t_x, observed) == pytest.approx(alive, abs=5e-4)


def test_the_shipped_purchase_model_is_the_one_fitted_on_cdnow() -> None:
    shipped = shipped_model().buyers
    found, likelihood = fit_parameters(*cdnow(), "mbg/nbd")
    assert tuple(shipped.parameters) == pytest.approx(tuple(found), rel=1e-3)
    assert shipped.log_likelihood == pytest.approx(likelihood, abs=0.01)
    assert "CDNOW" in shipped.source


def test_p_alive_is_the_share_alive_among_simulated_customers_with_the_same_history() -> None:
    """No formula: customers are made as the model tells the story, and counted."""
    chance = np.random.default_rng(4)
    size, observed = 400_000, 30.0
    rate = chance.gamma(MBG.r, 1 / MBG.alpha, size)
    drop = chance.beta(MBG.a, MBG.b, size)
    clock, last, count = np.zeros(size), np.zeros(size), np.zeros(size)
    alive = chance.random(size) >= drop  # MBG/NBD: the first purchase may be the last one
    active = alive.copy()
    while active.any():
        clock[active] += chance.exponential(1 / rate[active])
        active &= clock <= observed
        last[active] = clock[active]
        count[active] += 1
        gone = active & (chance.random(size) < drop)
        alive[gone] = False
        active &= ~gone
    for x, low, high in ((0, 0, 0), (1, 0, 5), (1, 20, 30), (3, 10, 20), (3, 25, 30)):
        same = (count == x) & (last >= low) & (last <= high)
        expected = p_alive(MBG, count[same], last[same], np.full(same.sum(), observed))
        tolerance = 4 * np.sqrt(0.25 / same.sum())
        assert alive[same].mean() == pytest.approx(expected.mean(), abs=tolerance)


def test_one_time_buyers_are_not_certainly_alive_in_the_modified_model_and_are_in_the_other() -> None:
    zero, late = np.zeros(1), np.full(1, 300.0)
    assert p_alive(MBG, zero, zero, late, "bg/nbd")[0] == 1.0
    assert p_alive(MBG, zero, zero, late, "mbg/nbd")[0] < 0.2


_positive = st.floats(0.05, 20)


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(_positive, _positive, _positive, _positive), st.integers(0, 40), st.floats(0, 60), st.floats(0.01, 0.99)
)
def test_p_alive_falls_to_the_threshold_exactly_when_it_is_said_to(
    values: tuple[float, float, float, float], x: int, t_x: float, threshold: float
) -> None:
    of = PurchaseParameters(*values)
    count, last = np.array([float(x)]), np.array([t_x if x else 0.0])
    lapse = lapses_at(of, count, last, threshold)
    assert lapse[0] >= last[0]
    if last[0] < lapse[0] < 1e12:
        assert p_alive(of, count, last, lapse * (1 + 1e-9) + 1e-9)[0] <= threshold + 1e-6
        before = last + (lapse - last) * 0.999
        assert p_alive(of, count, last, before)[0] >= threshold - 1e-6


@pytest.mark.parametrize(("family", "x", "t_x"), [("mbg/nbd", 2, 5.0), ("mbg/nbd", 0, 0.0), ("bg/nbd", 2, 5.0)])
def test_the_likelihood_is_the_density_integrated_over_customers(family: Family, x: int, t_x: float) -> None:
    """Straight from the story: with its rate and drop-out known a customer has a simple density; it is averaged."""
    from scipy import stats

    observed, steps = 20.0, (np.arange(2000) + 0.5) / 2000
    rate = stats.gamma.ppf(steps, MBG.r, scale=1 / MBG.alpha)[:, None]
    drop = stats.beta.ppf(steps, MBG.a, MBG.b)[None, :]
    chances = x + (family == "mbg/nbd")  # how often it could have dropped out
    stays = (1 - drop) ** chances * rate**x * np.exp(-rate * observed)
    dropped = (1 - drop) ** (chances - 1) * drop * rate**x * np.exp(-rate * t_x)
    one = np.array([float(x)]), np.array([t_x]), np.array([observed])
    assert log_likelihood(MBG, *one, family) == pytest.approx(np.log((stays + dropped).mean()), abs=0.01)


def test_purchase_statistics_count_days_and_not_orders() -> None:
    buyer, day = np.array([3, 1, 3, 3, 1]), np.array([10, 5, 10, 24, 5])
    x, t_x, observed = purchase_statistics(buyer, day, 30)
    assert (x.tolist(), t_x.tolist(), observed.tolist()) == ([0, 1], [0, 2], [26 / 7, 3])


def test_a_model_comes_back_from_its_file_and_a_broken_one_says_what_is_wrong(tmp_path: Path) -> None:
    content = encode_model(shipped_model())
    assert decode_model(content) == shipped_model()
    curves = shipped_model().curves()
    assert curves.shape == (KINDS, LONGEST_DAYS + 1)
    for found, words in (
        (b"{}", "version"),
        (content.replace(b'"version": 1', b'"version": 9'), "version 9"),
        (content.replace(b"0.8842", b"1.8842", 1), "never rise"),
        (content.replace(b'"r": 0.5', b'"r": -0.5'), "above 0"),
    ):
        with pytest.raises(ValueError, match=words):
            decode_model(found)
