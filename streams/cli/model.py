"""`qunpulse model`: what alerts rest on, learned from one's own history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import ConfigFile, DataDir, load_settings

app = typer.Typer(no_args_is_help=True, help="Learn from your own history what alerts rest on.")


@app.callback()
def model() -> None:
    """Learn from your own history what alerts rest on."""


@app.command("fit")
def fit(
    data: DataDir = None,
    config_file: ConfigFile = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the model is written.")] = Path("churn_model.json"),
) -> None:
    """Fit the alert model to what is in ClickHouse and write it as JSON.

    How long members of each kind stay silent before they come back, and the purchase model MBG/NBD by maximum
    likelihood; with the range of the data and the log-likelihood. Workers use the file once QUNPULSE_CHURN_MODEL_FILE
    names it.

      qunpulse model fit --out churn_model.json

      qunpulse model fit --data data
    """
    from streams.cli.reach import clickhouse
    from streams.model_file import save_model
    from streams.model_fit import fit_model, read_history

    with clickhouse(load_settings(config_file, data_dir=data)) as connection:
        found, remarks = fit_model(read_history(connection), "ClickHouse")
    save_model(found, out)
    silence, buyers = found.silence, found.buyers
    own = f"{len(silence.communities)} communities with curves of their own"
    print(f"{out}: {silence.gaps:,} gaps from {silence.data_from} to {silence.data_to}, {own}")
    print(
        f"  buyers: r {buyers.r:.3f}, alpha {buyers.alpha:.3f} weeks, a {buyers.a:.3f}, b {buyers.b:.3f}, "
        f"log-likelihood {buyers.log_likelihood:,.1f}, {buyers.customers:,} customers from {buyers.data_from} to "
        f"{buyers.data_to}"
    )
    for remark in remarks:
        print(f"  note: {remark}")
    print(f"  use it: QUNPULSE_CHURN_MODEL_FILE={out}")
