"""Fit what alerts rest on: the parameters of MBG/NBD by maximum likelihood, and the curves of silence by counting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from streams.errors import ConfigError, InputError
from streams.operators.alert_words import day_text
from streams.operators.base import Ints
from streams.operators.bgnbd import Family, PurchaseParameters, log_likelihood, p_alive
from streams.operators.churn_model import MODEL_VERSION, BuyerModel, ChurnModel, SilenceModel, shipped_model
from streams.return_curves import MIN_ACTIVE_DAYS, MIN_COMMUNITY_GAPS, active_days, fit_curves

if TYPE_CHECKING:
    from sinks.clickhouse import ClickHouse

Floats = npt.NDArray[np.float64]

UNIT_DAYS = 7.0
"""Time of the purchase model is in weeks, as in the papers."""

MIN_BUYERS = 200
"""Below so many buyers four parameters say more about chance than about customers."""

_NO_DROP_OUT = 0.98
"""With nearly everybody alive the fitted drop-out is one that the data do not show."""


@dataclass(frozen=True, slots=True)
class History:
    """What was active when: members are dense numbers, days are local, counted from 1970-01-01.

    ``members`` are (community, member) ids by number; ``community_of`` gives the place of its community among
    ``communities``.
    """

    communities: list[str]
    members: list[tuple[str, str]]
    community_of: Ints
    member: Ints
    day: Ints
    buyer: Ints
    purchase_day: Ints
    last_day: int

    @property
    def range(self) -> tuple[str, str]:
        """First and last day, as text."""
        first = min((int(days.min()) for days in (self.day, self.purchase_day) if len(days)), default=self.last_day)
        return day_text(first), day_text(self.last_day)


def fit_parameters(x: Floats, t_x: Floats, observed: Floats, family: Family) -> tuple[PurchaseParameters, float]:
    """Parameters with the largest likelihood, and its logarithm; times in any one unit.

    Searched over logarithms, so that all stay positive, from several starts, since the surface is flat in places.
    """
    try:
        from scipy.optimize import minimize
    except ImportError:
        raise ConfigError("fitting needs scipy; install it with `pip install 'qunpulse[analysis]'`") from None

    scale = max(float(np.mean(observed)), 1e-9)

    def loss(logs: Floats) -> float:
        return -log_likelihood(PurchaseParameters(*np.exp(logs)), x, t_x, observed, family) / len(x)

    best: tuple[float, Floats] = (float("inf"), np.zeros(4))
    for start in ((0.5, scale / 3, 0.5, 2.0), (1.0, scale, 1.0, 1.0), (0.2, scale / 10, 1.0, 5.0)):
        rough = minimize(loss, np.log(start), method="L-BFGS-B", bounds=[(-12, 12)] * 4)
        fine = minimize(loss, rough.x, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-12, "maxiter": 6000})
        best = min(best, (float(fine.fun), fine.x), key=lambda found: found[0])
    found = PurchaseParameters(*(float(value) for value in np.exp(best[1])))
    return found, log_likelihood(found, x, t_x, observed, family)


def fit_buyers(history: History, source: str) -> BuyerModel | None:
    """MBG/NBD on all buyers of a history; None when there are too few of them.

    Where the data show no drop-out (everybody still counts as alive, as in a year of growth), rate and its spread are
    fitted and the drop-out stays that of the shipped model; the note says so.
    """
    x, t_x, observed = purchase_statistics(history.buyer, history.purchase_day, history.last_day)
    if len(x) < MIN_BUYERS or not (x > 0).any():
        return None
    found, likelihood = fit_parameters(x, t_x, observed, "mbg/nbd")
    note = ""
    if float(np.mean(p_alive(found, x, t_x, observed))) > _NO_DROP_OUT:
        shipped = shipped_model().buyers
        found = PurchaseParameters(found.r, found.alpha, shipped.a, shipped.b)
        likelihood = log_likelihood(found, x, t_x, observed, "mbg/nbd")
        note = "these purchases show no drop-out: a and b are those of the shipped model"
    data_from, data_to = history.range
    return BuyerModel(
        unit_days=UNIT_DAYS,
        r=found.r,
        alpha=found.alpha,
        a=found.a,
        b=found.b,
        log_likelihood=likelihood,
        customers=len(x),
        data_from=data_from,
        data_to=data_to,
        source=source,
        note=note,
    )


def purchase_statistics(buyer: Ints, day: Ints, last_day: int) -> tuple[Floats, Floats, Floats]:
    """(x, t_x, T) of each buyer in units of UNIT_DAYS, over distinct days with a purchase."""
    if len(buyer) == 0:
        empty = np.empty(0)
        return empty, empty, empty
    pairs = np.unique(np.stack([buyer, day]), axis=1)
    starts = np.flatnonzero(np.concatenate(([True], pairs[0, 1:] != pairs[0, :-1])))
    ends = np.append(starts[1:], pairs.shape[1]) - 1
    first, last = pairs[1, starts], pairs[1, ends]
    return (ends - starts).astype(float), (last - first) / UNIT_DAYS, (last_day + 1 - first) / UNIT_DAYS


def fit_silence(history: History, source: str) -> SilenceModel | None:
    """Curves of all communities, and of those with enough gaps; None when there is too little to count."""
    days = active_days(history.member, history.day, history.last_day)
    learned = days.count >= MIN_ACTIVE_DAYS
    community = history.community_of[days.member]
    gaps = np.bincount(community[learned], minlength=len(history.communities))
    if gaps.sum() < MIN_COMMUNITY_GAPS:
        return None
    own = np.flatnonzero(gaps >= MIN_COMMUNITY_GAPS).tolist() if np.count_nonzero(gaps) > 1 else []
    pooled, *separate = fit_curves(days, community, own)
    data_from, data_to = history.range
    return SilenceModel(
        data_from=data_from,
        data_to=data_to,
        gaps=int(gaps.sum()),
        source=source,
        longer_than=_rounded(pooled),
        communities={history.communities[n]: _rounded(rows) for n, rows in zip(own, separate, strict=True)},
    )


def fit_model(history: History, source: str) -> tuple[ChurnModel, list[str]]:
    """The whole model, and remarks for whoever fitted it. What cannot be fitted is taken from the shipped one.

    Raises:
        InputError: there is too little history for either part.
    """
    silence, buyers = fit_silence(history, source), fit_buyers(history, source)
    if silence is None and buyers is None:
        raise InputError(
            f"too little history to learn from: it takes {MIN_COMMUNITY_GAPS} gaps of members with {MIN_ACTIVE_DAYS} "
            f"active days, or {MIN_BUYERS} buyers; go on with the model that ships"
        )
    shipped, remarks = shipped_model(), []
    if silence is None:
        remarks.append("too few gaps between active days: the curves of silence are those of the shipped model")
    if buyers is None:
        remarks.append(f"fewer than {MIN_BUYERS} buyers: the purchase model is the shipped one")
    elif buyers.note:
        remarks.append(buyers.note)
    model = ChurnModel(
        version=MODEL_VERSION,
        fitted_at=datetime.now(UTC).isoformat(timespec="seconds"),
        silence=silence or shipped.silence,
        buyers=buyers or shipped.buyers,
    )
    return model, remarks


def read_history(clickhouse: ClickHouse) -> History:
    """Active days and purchases that stand, from what the worker landed."""
    rows = clickhouse.query_arrow(
        "SELECT community_id, member_id, toInt64(local_date) AS day "
        "FROM qunpulse_store.member_days FINAL WHERE messages + interactions + orders > 0"
    )
    bought = clickhouse.query_arrow(PURCHASES_SQL)
    community = rows["community_id"].to_pylist()
    return history_of(
        list(zip(community, rows["member_id"].to_pylist(), strict=True)),
        rows["day"].to_numpy(),
        list(zip(bought["community_id"].to_pylist(), bought["member_id"].to_pylist(), strict=True)),
        bought["day"].to_numpy(),
    )


PURCHASES_SQL = """
    SELECT community_id, member_id, toInt64(local_date) AS day
    FROM qunpulse.orders
    WHERE refunded_minor < amount_minor AND (community_id, order_id) NOT IN
    (
        SELECT community_id, if(original_order_id = '', order_id, original_order_id)
        FROM qunpulse_store.events
        WHERE event_type = 'order' AND status = 'cancelled' AND late = 0
    )
"""


def history_of(
    actors: list[tuple[str, str]],
    day: Ints,
    buyers: list[tuple[str, str]],
    purchase_day: Ints,
    last_day: int | None = None,
) -> History:
    """A history from (community, member) pairs and their days."""
    numbers: dict[tuple[str, str], int] = {}
    for pair in (*actors, *buyers):
        numbers.setdefault(pair, len(numbers))
    names: dict[str, int] = {}
    for community, _ in numbers:
        names.setdefault(community, len(names))
    day, purchase_day = np.asarray(day, np.int64), np.asarray(purchase_day, np.int64)
    latest = max((int(days.max()) for days in (day, purchase_day) if len(days)), default=0)
    return History(
        list(names),
        list(numbers),
        np.array([names[community] for community, _ in numbers], np.int64),
        np.array([numbers[pair] for pair in actors], np.int64),
        day,
        np.array([numbers[pair] for pair in buyers], np.int64),
        purchase_day,
        latest if last_day is None else last_day,
    )


def _rounded(curves: Floats) -> list[list[float]]:
    """Four digits are more than any curve is sure of, and keep the file small; never 0, never rising."""
    found: list[list[float]] = np.maximum(np.round(curves, 4), 0.0001).tolist()
    return found
