"""From an alert record in Kafka to the message received: `python -m tests.bench.alert_latency`.

One delivery process, a real broker, ClickHouse's own engine and a web receiver, all on this machine. Alerts of as many
communities are sent at a steady pace; each must arrive exactly once before any time is printed. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from kafka import KafkaProducer

from infra.embedded.stack import EmbeddedStack
from schemas.alerts import encode
from schemas.partitioning import partition_for
from schemas.topics import ALERTS, topic_specs
from sinks.clickhouse import ClickHouse
from sinks.migrate import migrate
from streams.kafka_cluster import KafkaCluster
from tests.alerts import alert
from tests.bench.delivering import delivering
from tests.receivers import Got, Reply, http_receiver

PARTITIONS = 4
GOAL_SECONDS = 3.0


def measure(alerts: int, per_second: float) -> dict[str, float]:
    """Send the alerts, wait for all of them; seconds from the acknowledgement of the broker to the arrival."""
    arrived: dict[str, float] = {}
    sent: dict[str, float] = {}
    everything = threading.Event()

    def note(got: Got) -> Reply:
        alert_id = next(word for word in got.text.split() if word.startswith("silent-"))
        if alert_id in arrived:
            raise SystemExit(f"{alert_id} arrived twice")
        arrived[alert_id] = time.monotonic()
        if len(arrived) == alerts + 1:
            everything.set()
        return Reply()

    with (
        tempfile.TemporaryDirectory(prefix="qunpulse-bench-") as name,
        http_receiver() as web,
        EmbeddedStack(Path(name) / "data", lambda line: print(line, file=sys.stderr), kafka_port=0, clickhouse_port=0)
        as stack,
    ):  # fmt: skip
        web.script = note
        rules = Path(name) / "rules.yaml"
        rules.write_text(
            f"alerts:\n  channels: {{ops: {{url: '{web.url()}', per_minute: 6000}}}}\n  routes: [{{channels: [ops]}}]\n"
        )
        clickhouse = ClickHouse.connect(stack.clickhouse_host, stack.clickhouse_port)
        migrate(clickhouse)
        with KafkaCluster(stack.kafka_bootstrap_servers) as cluster:
            cluster.apply([spec for spec in topic_specs(PARTITIONS) if spec.name == ALERTS])
        producer = KafkaProducer(bootstrap_servers=stack.kafka_bootstrap_servers, acks="all")

        def send(number: int) -> None:
            one = alert(fact=number, community_id=f"wecom:群{number}")
            key = one.alert_id.encode()
            producer.send(ALERTS, key=key, value=encode(one), partition=partition_for(key, PARTITIONS)).get(10)
            sent[one.alert_id] = time.monotonic()

        try:
            with delivering(stack, rules):
                send(0)  # not counted: it waits for the process to start
                web.wait(lambda got: len(got) == 1, 60)
                begun = time.monotonic()
                for number in range(1, alerts + 1):
                    time.sleep(max(0.0, begun + number / per_second - time.monotonic()))
                    send(number)
                if not everything.wait(60):
                    raise SystemExit(f"only {len(arrived) - 1} of {alerts} alerts arrived")
        finally:
            producer.close()
            clickhouse.close()
    first = min(sent.values())
    waits = np.array([arrived[one] - at for one, at in sent.items() if at != first])
    return {f"p{percent}_seconds": round(float(np.percentile(waits, percent)), 4) for percent in (50, 90, 99, 100)}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alerts", type=int, default=100)
    parser.add_argument("--per-second", type=float, default=2.0)
    asked = parser.parse_args()
    found = measure(asked.alerts, asked.per_second)
    print(
        json.dumps({"alerts": asked.alerts, "per_second": asked.per_second, "goal_p99_seconds": GOAL_SECONDS} | found)
    )


if __name__ == "__main__":
    main()
