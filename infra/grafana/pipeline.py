"""Dashboard *Pipeline*, for those who keep it running: rates, lag, freshness, errors, books, saturation, delivery.

Metrics are explained in `streams/metrics.py`; what they rest on is per process and since its start, so rates and
shares are shown. The two tables from ClickHouse are since the beginning.
"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as parts

from infra.grafana.panels import PROMETHEUS, Shown, board, lines, number, prom, row, rows, table

_OUTCOMES: Final = ("applied", "duplicate", "late", "dead_lettered", "misrouted")
_HERE: Final = 'instance=~"$instance"'
_RATE: Final = "[$__rate_interval]"


def pipeline(runbooks: str) -> dashboard.Dashboard:
    """The dashboard. Everything is filtered by worker, but alert delivery, which is another process."""
    return board(
        "pipeline",
        "Pipeline",
        "Whether the pipeline keeps up, loses nothing and lands what it should: for those who are called when it "
        "does not.",
        "now-3h",
        [_instance_variable()],
        [
            row("Is all well?"),
            *_overview(),
            row("Rates and lag"),
            *_rates(),
            row("Freshness and where the time goes"),
            *_stages(),
            row("Errors"),
            *_errors(),
            row("Accounting"),
            *_accounting(),
            row("Saturation, state and restore"),
            *_saturation(),
            row("Alert delivery"),
            *_delivery(),
        ],
        runbooks,
        timezone="browser",
        refresh="30s",
    )


def _instance_variable() -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable("instance")
        .label("Worker")
        .datasource(PROMETHEUS)
        .query("label_values(qunpulse_assigned_partitions, instance)")
        .refresh(parts.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(parts.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(parts.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _overview() -> list[Shown]:
    return [
        number(
            "Partitions read",
            "Share of partitions that some worker owns. Below 100 % part of the communities stands still.",
            prom("sum(qunpulse_assigned_partitions) / max(qunpulse_configured_partitions)", instant=True),
            "percentunit",
            runbook="worker-down",
            limits=[(1, "green")],
            falling=True,
        ),
        number(
            "ClickHouse",
            "Whether every worker had an answer from ClickHouse when it last asked.",
            prom(f"min(qunpulse_clickhouse_up_bool{{{_HERE}}})", instant=True),
            "none",
            runbook="clickhouse-inserts-failing",
            limits=[(1, "green")],
            falling=True,
            words=[(1, "answers", "green"), (0, "silent", "red")],
        ),
        number(
            "Behind",
            "Event time that is in Kafka and not applied yet, of the worst partition; 0 while caught up.",
            prom(f"max(qunpulse_lag_seconds{{{_HERE}}})", instant=True),
            "s",
            runbook="lag-growing",
            limits=[(60, "orange"), (600, "red")],
        ),
        number(
            "Freshness",
            "Age of the oldest record that cannot be read in ClickHouse yet, of the worst partition.",
            prom(f"max(qunpulse_freshness_seconds{{{_HERE}}})", instant=True),
            "s",
            runbook="freshness",
            limits=[(30, "orange"), (120, "red")],
        ),
        number(
            "Books",
            "Records without an outcome or with two. Anything but 0 breaks the first promise: page somebody.",
            prom(f"sum(abs(qunpulse_accounting_imbalance_records{{{_HERE}}}))", instant=True),
            "short",
            runbook="accounting-broken",
            limits=[(1, "red")],
            words=[(0, "balance", "green")],
        ),
        number(
            "Refused",
            "Share of recent records that were dead-lettered. At `dead_letter_stop_share` the worker stops.",
            prom(f"max(qunpulse_dead_letter_share_ratio{{{_HERE}}})", instant=True),
            "percentunit",
            runbook="dead-letters",
            limits=[(0.01, "orange"), (0.1, "red")],
            decimals=2,
        ),
        number(
            "Oldest checkpoint",
            "Time since the last checkpoint of the worst partition: what a crash now would make us read again.",
            prom(f"max(qunpulse_checkpoint_age_seconds{{{_HERE}}})", instant=True),
            "s",
            runbook="clickhouse-inserts-failing",
            limits=[(60, "orange"), (300, "red")],
        ),
        number(
            "Alerts overdue",
            "Age of the oldest alert whose delivery has failed and is still owed, on any channel.",
            prom("max(qunpulse_alert_delivery_overdue_seconds)", instant=True),
            "s",
            runbook="alert-delivery-failing",
            limits=[(60, "orange"), (600, "red")],
        ),
    ]


def _rates() -> list[Shown]:
    outcomes = [
        prom(f"sum(rate(qunpulse_{outcome}_records_total{{{_HERE}}}{_RATE}))", outcome.replace("_", "-"))
        for outcome in _OUTCOMES
    ]
    return [
        lines(
            "What became of records",
            "Records a second by outcome; all five together are what was consumed.",
            *outcomes,
            unit="cps",
            runbook="lag-growing",
        ),
        lines(
            "Consumed by topic",
            "Records a second taken from Kafka.",
            prom(f"sum by (topic) (rate(qunpulse_consumed_records_total{{{_HERE}}}{_RATE}))", "{{topic}}"),
            unit="cps",
            runbook="lag-growing",
        ),
        lines(
            "Lag in records",
            "Records in Kafka that are not applied yet, by topic. High is a backlog; high and growing means that "
            "workers "
            "do not keep up.",
            prom(f"sum by (topic) (qunpulse_lag_records{{{_HERE}}})", "{{topic}}"),
            unit="short",
            runbook="lag-growing",
        ),
        lines(
            "Lag in event time",
            "Event time between the newest event applied and now, by partition; 0 while caught up. A replay of "
            "history is "
            "as far behind as its history is old.",
            prom(f"max by (partition) (qunpulse_lag_seconds{{{_HERE}}})", "partition {{partition}}"),
            unit="s",
            runbook="lag-growing",
        ),
    ]


def _stages() -> list[Shown]:
    def quantile(share: float, metric: str, by: str) -> str:
        labels = f"le, {by}" if by else "le"
        return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{_HERE}}}{_RATE})))"

    return [
        lines(
            "Freshness",
            "Age of the oldest record that cannot be read in ClickHouse yet, by partition. The objective is half a "
            "minute.",
            prom(f"max by (partition) (qunpulse_freshness_seconds{{{_HERE}}})", "partition {{partition}}"),
            unit="s",
            width=8,
            runbook="freshness",
            limits=[(30, "red")],
        ),
        lines(
            "Age of the last checkpoint",
            "By partition. It is a saw with teeth of `flush_interval_seconds`; a line that climbs means that "
            "ClickHouse "
            "takes nothing.",
            prom(f"max by (partition) (qunpulse_checkpoint_age_seconds{{{_HERE}}})", "partition {{partition}}"),
            unit="s",
            width=8,
            runbook="clickhouse-inserts-failing",
        ),
        lines(
            "Event clock behind the wall clock",
            "Wall clock less the largest event time applied, by partition. A line that climbs while there is lag: "
            "the clock "
            "is stalled. Without lag the feed is quiet.",
            prom(f"max by (partition) (time() - qunpulse_event_clock_seconds{{{_HERE}}})", "partition {{partition}}"),
            unit="s",
            width=8,
            runbook="clock-stalled",
        ),
        lines(
            "Busy by stage",
            "Seconds of work a second in each stage, all workers together. Flushes run beside the rest; decode, "
            "merge and "
            "apply of one worker together cannot pass 100 %.",
            prom(f"sum by (stage) (rate(qunpulse_stage_seconds_sum{{{_HERE}}}{_RATE}))", "{{stage}}"),
            unit="percentunit",
            width=8,
            runbook="lag-growing",
            stacked=True,
        ),
        lines(
            "Time of a batch by stage",
            "95th percentile of the time that one batch spends in a stage.",
            prom(quantile(0.95, "qunpulse_stage_seconds", "stage"), "{{stage}}"),
            unit="s",
            width=8,
            runbook="lag-growing",
        ),
        lines(
            "Time of an insert by table",
            "95th percentile of the time one ClickHouse insert takes, retries included.",
            prom(quantile(0.95, "qunpulse_insert_seconds", "table"), "{{table}}"),
            unit="s",
            width=8,
            runbook="clickhouse-inserts-failing",
        ),
    ]


def _errors() -> list[Shown]:
    def share(outcome: str) -> str:
        part, whole = (f"sum(increase(qunpulse_{name}_records_total{{{_HERE}}}[5m]))" for name in (outcome, "consumed"))
        return f"{part} / ({whole} > 0)"

    return [
        lines(
            "Dead letters by code",
            "Refused records a second by error code: which producer is broken, and how. `qunpulse deadletters list` "
            "shows them.",
            prom(f"sum by (code) (rate(qunpulse_dead_letters_total{{{_HERE}}}{_RATE})) > 0", "{{code}}"),
            unit="cps",
            width=8,
            runbook="dead-letters",
        ),
        lines(
            "Share refused, late, misrouted",
            "Of the records of the last 5 minutes. Late ones count in no figure; misrouted ones mean that a producer "
            "partitions otherwise.",
            *(prom(share(outcome), outcome.replace("_", "-")) for outcome in ("dead_lettered", "late", "misrouted")),
            unit="percentunit",
            width=8,
            runbook="late-events",
            limits=[(0.01, "red")],
        ),
        lines(
            "Inserts and sends tried again",
            "Tries a second that followed a failed one, by table, and to Kafka. A steady rise means that ClickHouse, "
            "or "
            "Kafka, struggles.",
            prom(f"sum by (table) (rate(qunpulse_insert_retries_total{{{_HERE}}}{_RATE}))", "{{table}}"),
            prom(f"sum(rate(qunpulse_send_retries_total{{{_HERE}}}{_RATE}))", "Kafka"),
            unit="cps",
            width=8,
            runbook="clickhouse-inserts-failing",
        ),
        lines(
            "Words outside the contract",
            "Events a second with an unknown `kind` or `via`; they land as other or unknown with the raw word beside "
            "it.",
            prom(f"sum by (field) (rate(qunpulse_unknown_words_total{{{_HERE}}}{_RATE}))", "{{field}}"),
            unit="cps",
            width=8,
            runbook="dead-letters",
        ),
        lines(
            "Fetches that stalled, batches dropped as stale",
            "Since the workers' start. Stale batches follow a rebalance and are harmless; a stalled fetch was a "
            "partition with "
            "lag and no fetch, whose consumer was restarted.",
            prom(f"sum(qunpulse_stalled_fetches_total{{{_HERE}}})", "stalled fetches"),
            prom(f"sum(qunpulse_stale_batches_total{{{_HERE}}})", "stale batches"),
            unit="short",
            width=8,
            runbook="lag-growing",
        ),
        rows(
            "Latest dead letters",
            "By topic and code, since the beginning.",
            table(
                """
                SELECT toString(topic) AS topic, toString(error) AS code, count() AS records, max(received_at) AS latest
                FROM qunpulse.dead_letters GROUP BY topic, code ORDER BY latest DESC, topic, code LIMIT 50
                """
            ),
            widths={"topic": 180, "records": 70},
            width=8,
            runbook="dead-letters",
        ),
    ]


def _accounting() -> list[Shown]:
    return [
        lines(
            "Records without an outcome, or with two",
            "consumed - (applied + duplicate + late + dead-lettered + misrouted) at each partition's last "
            "checkpoint, by "
            "topic. A flat 0, or the first promise is broken.",
            prom(f"sum by (topic) (abs(qunpulse_accounting_imbalance_records{{{_HERE}}}))", "{{topic}}"),
            unit="short",
            width=8,
            runbook="accounting-broken",
            limits=[(1, "red")],
        ),
        rows(
            "The books",
            "Where every record went, since the beginning, as of the last checkpoints. The last column must be 0.",
            table(
                """
                SELECT
                    toString(topic) AS topic, sum(consumed) AS consumed, sum(applied) AS applied,
                    sum(duplicate) AS duplicate,
                    sum(late) AS late, sum(dead_lettered) AS `dead-lettered`, sum(misrouted) AS misrouted,
                    toInt64(consumed) - toInt64(applied + duplicate + late + `dead-lettered` + misrouted) AS missing
                FROM qunpulse.accounting GROUP BY topic ORDER BY topic
                """
            ),
            widths={"topic": 190},
            colours={"missing": [(1, "red")]},
            width=16,
            runbook="accounting-broken",
        ),
    ]


def _saturation() -> list[Shown]:
    return [
        lines(
            "Processor by process",
            "Cores in use. A worker does most of its work on one.",
            prom(f"sum by (instance) (rate(qunpulse_process_cpu_seconds_total{{{_HERE}}}{_RATE}))", "{{instance}}"),
            unit="short",
            width=6,
            runbook="lag-growing",
        ),
        lines(
            "Memory by process",
            "Resident memory: mostly members' state and forests.",
            prom(f"sum by (instance) (qunpulse_process_resident_memory_bytes{{{_HERE}}})", "{{instance}}"),
            unit="bytes",
            width=6,
            runbook="slow-restore",
        ),
        lines(
            "Partitions held back",
            "How many partitions wait with fetching because ClickHouse or a full buffer holds them. Nothing is lost: "
            "Kafka "
            "keeps the records.",
            prom(f"sum(qunpulse_partition_paused_bool{{{_HERE}}})", "held back"),
            prom(f"sum(qunpulse_assigned_partitions{{{_HERE}}})", "owned"),
            unit="short",
            width=6,
            runbook="clickhouse-inserts-failing",
        ),
        lines(
            "Records in a batch",
            "Median and 95th percentile. Small ones mean a quiet feed, full ones a backlog.",
            *(
                prom(
                    f"histogram_quantile({share}, sum by (le) (rate(qunpulse_batch_records_bucket{{{_HERE}}}{_RATE})))",
                    name,
                )
                for share, name in ((0.5, "median"), (0.95, "95 %"))
            ),
            unit="short",
            width=6,
            runbook="lag-growing",
        ),
        lines(
            "State in memory",
            "Entries by operator, all partitions together. What has expired leaves.",
            prom(f"sum by (operator) (qunpulse_state_entries{{{_HERE}}})", "{{operator}}"),
            unit="short",
            width=8,
            runbook="slow-restore",
        ),
        lines(
            "Time to take over a partition",
            "Mean time to claim a partition and read its state back, by worker, since its start. Long ones mean a "
            "large state "
            "or a slow ClickHouse.",
            prom(
                f"sum by (instance) (qunpulse_restore_seconds_sum{{{_HERE}}}) "
                f"/ (sum by (instance) (qunpulse_restore_seconds_count{{{_HERE}}}) > 0)",
                "{{instance}}",
            ),
            unit="s",
            width=8,
            runbook="slow-restore",
            limits=[(30, "red")],
        ),
        lines(
            "Claims",
            "Number of the claim under which each partition is owned; it rises with every take-over. Steps without a "
            "deployment: workers come and go.",
            prom(f"max by (partition) (qunpulse_claim_epoch_number{{{_HERE}}})", "partition {{partition}}"),
            unit="short",
            width=8,
            runbook="worker-down",
        ),
    ]


def _delivery() -> list[Shown]:
    return [
        lines(
            "Alerts read by what followed",
            "Records of the alerts topic since the delivery process began: delivered on some channel, or why on none.",
            prom("sum by (result) (qunpulse_alert_records_total)", "{{result}}"),
            unit="short",
            width=8,
            runbook="alert-delivery-failing",
        ),
        lines(
            "Tries to deliver",
            "By channel and outcome, since the process began: sent means acknowledged by the receiver, failed is "
            "tried again.",
            prom("sum by (channel, outcome) (qunpulse_alert_deliveries_total)", "{{channel}} {{outcome}}"),
            unit="short",
            width=8,
            runbook="alert-delivery-failing",
        ),
        lines(
            "Owed",
            "Deliveries not acknowledged yet: waiting (quiet hours, digest, rate limit) or failed.",
            prom("sum by (channel, outcome) (qunpulse_alert_deliveries_owed_number)", "{{channel}} {{outcome}}"),
            unit="short",
            width=8,
            runbook="alert-delivery-failing",
        ),
        lines(
            "Overdue",
            "Age of the oldest delivery that has failed and is still owed, by channel. A person must look when it "
            "grows.",
            prom("max by (channel) (qunpulse_alert_delivery_overdue_seconds)", "{{channel}}"),
            unit="s",
            width=8,
            runbook="alert-delivery-failing",
            limits=[(600, "red")],
        ),
        lines(
            "Time to deliver",
            "From reading an alert to its acknowledgement, mean since the process began, by channel; quiet hours "
            "count.",
            prom(
                "sum by (channel) (qunpulse_alert_delivery_seconds_sum) "
                "/ (sum by (channel) (qunpulse_alert_delivery_seconds_count) > 0)",
                "{{channel}}",
            ),
            unit="s",
            width=8,
            runbook="alert-delivery-failing",
        ),
        lines(
            "Facts, alerts, milestones sent",
            "Records a second that workers sent to each side topic; repeats after a restart count again.",
            prom(f"sum by (topic) (rate(qunpulse_sent_records_total{{{_HERE}}}{_RATE})) > 0", "{{topic}}"),
            unit="cps",
            width=8,
            runbook="alert-delivery-failing",
        ),
    ]
