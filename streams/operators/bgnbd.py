"""How likely a buyer is still a customer: BG/NBD and its modification, vectorised over customers.

While alive a customer buys at rate lambda (gamma over customers: r, alpha) and drops out with a chance p (beta: a, b).
In BG/NBD one may drop out after every *repeat* purchase, so whoever bought once is certainly alive; in the modified
model also after the first one, so one-time buyers may be gone too. A customer is (x, t_x, T): repeat purchases, time
from the first to the last one, time observed since the first, all in the model's unit of time.

Sources: Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2), eq. 6 (BG/NBD);
Batislam, Denizel & Filiztekin (2007), Empirical validation and comparison of models for customer base analysis, Int. J.
of Research in Marketing 24(3), eq. 7 and 9 (MBG/NBD); the MBG/NBD likelihood also in Hoppe & Wagner (2007).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Family = Literal["bg/nbd", "mbg/nbd"]


class PurchaseParameters(NamedTuple):
    """r, alpha (in units of time) of the purchase rate and a, b of the chance to drop out; all positive."""

    r: float
    alpha: float
    a: float
    b: float


def p_alive(of: PurchaseParameters, x: Floats, t_x: Floats, observed: Floats, family: Family = "mbg/nbd") -> Floats:
    """Chance that each customer is still one at the end of its observation."""
    growth = (of.r + x) * (np.log(of.alpha + observed) - np.log(of.alpha + t_x))
    odds_gone = of.a / (of.b + (x if family == "mbg/nbd" else np.maximum(x - 1, 0))) * np.exp(np.minimum(growth, 700.0))
    alive: Floats = 1.0 / (1.0 + odds_gone)
    return alive if family == "mbg/nbd" else np.where(x > 0, alive, 1.0)


def lapses_at(of: PurchaseParameters, x: Floats, t_x: Floats, threshold: float) -> Floats:
    """The time since the first purchase at which P(alive) of the modified model falls to ``threshold``, at least t_x.

    P(alive) falls steadily between purchases, so its equation can be solved for T; no one needs to be looked at before.
    """
    log_odds = np.log(1.0 / threshold - 1.0) + np.log(of.b + x) - np.log(of.a)
    grown = np.log(of.alpha + t_x) + log_odds / (of.r + x)
    lapse: Floats = np.exp(np.minimum(grown, 40.0)) - of.alpha
    return np.maximum(lapse, t_x)


def log_likelihood(of: PurchaseParameters, x: Floats, t_x: Floats, observed: Floats, family: Family) -> float:
    """Sum over customers of the log-likelihood of (x, t_x, T)."""
    from scipy.special import betaln, gammaln  # fitting only: workers never need it

    r, alpha, a, b = of
    common = gammaln(r + x) - gammaln(r) + r * np.log(alpha) - betaln(a, b)
    still = -(r + x) * np.log(alpha + observed)
    gone = -(r + x) * np.log(alpha + t_x)
    if family == "mbg/nbd":
        terms = np.logaddexp(betaln(a, b + x + 1) + still, betaln(a + 1, b + x) + gone)
    else:
        # At least one repeat purchase is needed to have dropped out: the second term is missing for x = 0.
        dropped = np.where(x > 0, betaln(a + 1, b + np.maximum(x, 1) - 1) + gone, -np.inf)
        terms = np.logaddexp(betaln(a, b + x) + still, dropped)
    return float(np.sum(common + terms))
