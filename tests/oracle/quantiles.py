"""Quantiles of distributions by numerical integration and bisection, for judging closed forms by them."""

from functools import cache
from math import exp, inf, lgamma, log, pi, sqrt
from statistics import NormalDist


@cache
def student_t(share: float, degrees: int) -> float:
    """The value below which a share of Student's t lies; share in [0.5, 1)."""
    if degrees == 1:
        from math import tan

        return tan(pi * (share - 0.5))
    scale = exp(lgamma((degrees + 1) / 2) - lgamma(degrees / 2)) / sqrt(degrees * pi)

    def below(value: float) -> float:
        steps = 2000
        width = value / steps
        inside = sum(
            (4 if i % 2 else 2) * exp(-(degrees + 1) / 2 * log(1 + (i * width) ** 2 / degrees)) for i in range(1, steps)
        )
        ends = 1 + exp(-(degrees + 1) / 2 * log(1 + value**2 / degrees))
        return 0.5 + scale * (inside + ends) * width / 3

    low, high = 0.0, 100.0
    while high - low > 1e-7:
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) < share else (low, middle)
    return low


@cache
def normal(share: float) -> float:
    """The value below which a share of the standard normal lies."""
    return NormalDist().inv_cdf(share)


def poisson_limits(count: int, share: float = 0.95) -> tuple[float, float]:
    """Exact (Garwood 1936) limits of a Poisson mean after `count` was seen."""
    tail = (1 - share) / 2
    low = 0.0 if count == 0 else _solve(lambda mean: 1 - _poisson_at_most(count - 1, mean), tail)
    return low, _solve(lambda mean: 1 - _poisson_at_most(count, mean), 1 - tail)


def _poisson_at_most(count: int, mean: float) -> float:
    if mean == 0:
        return 1.0
    return sum(exp(-mean + k * log(mean) - lgamma(k + 1)) for k in range(count + 1))


def _solve(rising: "object", wanted: float) -> float:
    low, high = 0.0, 1.0
    while rising(high) < wanted:  # type: ignore[operator]
        low, high = high, high * 2
        if high == inf:
            raise AssertionError("no solution")
    while high - low > 1e-9 * max(1, high):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)  # type: ignore[operator]
    return low
