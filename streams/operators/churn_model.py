"""What was learned from history about who comes back: the versioned file that `qunpulse model fit` writes.

Two parts. *Silence*: how many members of a kind, once active, were silent for more than t days (a survival curve), for
all communities together and for those with enough history of their own. *Buyers*: the parameters of MBG/NBD. Both carry
the range of their data, so that anybody can see what they stand on. A default ships with the program.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from streams.operators.base import Ints
from streams.operators.bgnbd import PurchaseParameters

MODEL_VERSION: Final = 1
SHIPPED: Final = Path(__file__).with_name("churn_model.json")

LONGEST_DAYS: Final = 90
"""Curves reach so far: the latest silence that may open an alert, and the time it is asked about."""

ACTIVE_EDGES: Final = (2, 4, 8)
"""Active days in the 30 that end with the last one: 1, 2-3, 4-7 (about weekly), 8 and more."""
EXPERIENCE_EDGES: Final = (8, 25)
"""Active days ever: those still finding out, the settled, the veterans."""
KINDS: Final = (len(ACTIVE_EDGES) + 1) * (len(EXPERIENCE_EDGES) + 1)

Curves = npt.NDArray[np.float64]


class SilenceModel(msgspec.Struct, frozen=True, kw_only=True):
    """Share of gaps longer than 0, 1, … LONGEST_DAYS days, a row a kind of member (see :func:`kind_of_member`)."""

    data_from: str
    data_to: str
    gaps: int
    source: str = ""
    longer_than: list[list[float]]
    communities: dict[str, list[list[float]]] = {}


class BuyerModel(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of MBG/NBD; alpha in units of ``unit_days`` days."""

    family: str = "mbg/nbd"
    unit_days: float
    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    customers: int
    data_from: str
    data_to: str
    source: str = ""
    note: str = ""

    @property
    def parameters(self) -> PurchaseParameters:
        """As the formulas take them."""
        return PurchaseParameters(self.r, self.alpha, self.a, self.b)


class ChurnModel(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    version: int
    fitted_at: str
    silence: SilenceModel
    buyers: BuyerModel

    def curves(self, community: str | None = None) -> Curves:
        """The curves of a community, those of all together where it has none of its own; shape (KINDS, days)."""
        found = self.silence.communities.get(community or "", self.silence.longer_than)
        return np.array(found, np.float64)


def kind_of_member(active_days_30: Ints, active_days: Ints) -> Ints:
    """Which curve speaks for members: by how active they are now, then by how long they have been."""
    kind: Ints = np.digitize(active_days_30, ACTIVE_EDGES) * (len(EXPERIENCE_EDGES) + 1)
    return kind + np.digitize(active_days, EXPERIENCE_EDGES)


def decode_model(content: bytes) -> ChurnModel:
    """The model in a file's content.

    Raises:
        ValueError: it is not one, or of another version; the text says what was expected.
    """
    try:
        model = msgspec.json.decode(content, type=ChurnModel)
    except msgspec.MsgspecError as error:
        raise ValueError(f"no churn model: {error}") from None
    if model.version != MODEL_VERSION:
        raise ValueError(f"a churn model of version {model.version}, this program reads {MODEL_VERSION}")
    for name, rows in {"": model.silence.longer_than, **model.silence.communities}.items():
        curves = [row for row in rows if len(row) == LONGEST_DAYS + 1]
        if len(curves) != KINDS or len(rows) != KINDS:
            where = f"silence.communities.{name}" if name else "silence.longer_than"
            raise ValueError(f"no churn model: {where} must be {KINDS} rows of {LONGEST_DAYS + 1} numbers")
        shares = np.array(rows)
        if not ((shares > 0) & (shares <= 1)).all() or (np.diff(shares, axis=1) > 0).any():
            raise ValueError("no churn model: shares of gaps lie above 0, at most at 1, and never rise")
    if min(model.buyers.parameters) <= 0 or model.buyers.unit_days <= 0:
        raise ValueError("no churn model: buyers: r, alpha, a, b and unit_days are above 0")
    return model


def encode_model(model: ChurnModel) -> bytes:
    """The content of the file: one curve a line, so that versions can be compared."""
    text = msgspec.json.format(msgspec.json.encode(model), indent=1).decode()
    return text.replace(",\n    ", ", ").encode() + b"\n"


@cache
def shipped_model() -> ChurnModel:
    """The default that ships with the program; ``source`` in it says what it was fitted on."""
    return decode_model(SHIPPED.read_bytes())
