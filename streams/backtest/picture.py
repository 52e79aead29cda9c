"""A backtest report as a picture: precision against recall, lead against alerts, and how long churners went unseen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from streams.backtest.report import Point, SilentReport
from streams.errors import ConfigError, InputError

_OURS, _FIXED = "tab:blue", "tab:gray"


def draw(silent: SilentReport, title: str, path: Path) -> None:
    """Draw what is known of `silent` into a PNG.

    Raises:
        ConfigError: matplotlib is not installed.
        InputError: the file cannot be written.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("pictures need matplotlib; install it with `pip install 'qunpulse[analysis]'`") from None
    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(12, 4), layout="constrained")
        curve, volume, leads = figure.subplots(1, 3)
        _precision_recall(curve, silent)
        _lead_by_volume(volume, silent)
        _lead_times(leads, silent)
        figure.suptitle(title)
        try:
            figure.savefig(path, dpi=110, metadata={"Software": None})  # the same picture has the same bytes
        except OSError as error:
            raise InputError(f"picture {path} cannot be written: {error.strerror}") from None


def _precision_recall(axes: Any, silent: SilentReport) -> None:
    for points, colour, label in ((silent.curve, _OURS, "silent"), (silent.fixed_curve, _FIXED, "fixed days")):
        axes.plot([p.recall for p in points], [p.precision_30 for p in points], ".-", color=colour, label=label)
    compared = silent.replayed
    axes.plot(compared.rule.recall.value, compared.rule.precision_30.value, "o", color=_OURS, label="silent, replayed")
    axes.plot(compared.fixed.recall.value, compared.fixed.precision_30.value, "s", color=_FIXED, label="equal volume")
    axes.set(xlabel="recall of churners (90 days)", ylabel="precision (30 days)", title="Precision and recall")
    axes.legend()


def _lead_by_volume(axes: Any, silent: SilentReport) -> None:
    def line(points: list[Point], colour: str, label: str) -> None:
        axes.plot([p.alerts for p in points], [p.lead_days for p in points], ".-", color=colour, label=label)

    line(silent.curve, _OURS, "silent")
    line(silent.fixed_curve, _FIXED, "fixed days")
    axes.set(xlabel="alerts", ylabel="mean lead (days)", title="Days from the last activity to the alert", yscale="log")
    axes.legend()


def _lead_times(axes: Any, silent: SilentReport) -> None:
    longest = max([*silent.lead_by_rule.tolist(), *silent.lead_by_fixed.tolist(), 1])
    bins = np.arange(0.5, longest + 1.5)
    n = silent.replayed.fixed_days
    axes.hist(silent.lead_by_rule, bins=bins, color=_OURS, alpha=0.7, label="silent")
    axes.axvline(n + 1, color=_FIXED, label=f"no activity for {n} days")
    axes.set(xlabel="days from the last activity to the alert", ylabel="churners", title="Lead of caught churners")
    axes.legend()
