"""What the command line asks and tells a Kafka cluster: which topics, how far, as they must be.

One admin client; every failure leaves as KafkaUnavailable with the broker's address. Workers do not use it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError

from schemas.topics import TopicSpec
from streams.errors import ConfigError, KafkaUnavailable


class Span(NamedTuple):
    """The offsets a partition holds: `[begin, end)`."""

    begin: int
    end: int


@dataclass(frozen=True)
class TopicChange:
    """What `apply` did to a topic; `detail` lists changed settings."""

    name: str
    action: Literal["created", "changed", "unchanged"]
    partitions: int
    detail: str = ""


class KafkaCluster:
    """A connection to the cluster; close it, or use it as a context manager."""

    def __init__(self, bootstrap_servers: str, timeout_seconds: float = 10.0) -> None:
        self.bootstrap_servers = bootstrap_servers
        logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters is restated as KafkaUnavailable
        with self._reached():
            self._admin = KafkaAdminClient(
                bootstrap_servers=bootstrap_servers.split(","),
                client_id="qunpulse-cli",
                bootstrap_timeout_ms=int(timeout_seconds * 1000),
                request_timeout_ms=int(timeout_seconds * 1000) + 5_000,
            )

    def close(self) -> None:
        """Give the connections back."""
        self._admin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cluster_id(self) -> str:
        """The cluster's own id, which stays when its addresses change."""
        with self._reached():
            return str(self._admin.describe_cluster()["cluster_id"])

    def partitions(self, topics: Iterable[str]) -> dict[str, int]:
        """Partition count of each of these topics that exists."""
        wanted = set(topics)
        with self._reached():
            described = self._admin.describe_topics()
        return {t["name"]: len(t["partitions"]) for t in described if t["name"] in wanted}

    def spans(self, topics: Iterable[str]) -> dict[tuple[str, int], Span]:
        """First and next offset of every partition of these topics; topics that do not exist are left out."""
        wanted = [TopicPartition(t, p) for t, count in self.partitions(topics).items() for p in range(count)]
        if not wanted:
            return {}
        with self._reached():
            begin = self._admin.list_partition_offsets(dict.fromkeys(wanted, OffsetSpec.EARLIEST))
            end = self._admin.list_partition_offsets(dict.fromkeys(wanted, OffsetSpec.LATEST))
        return {(tp.topic, tp.partition): Span(begin[tp].offset, end[tp].offset) for tp in wanted}

    def apply(
        self, specs: Iterable[TopicSpec], replication_factor: int = 1, *, dry_run: bool = False
    ) -> list[TopicChange]:
        """Make the topics as they must be; running it again changes nothing.

        Raises ConfigError when a topic has another partition count: more partitions would send a community's
        new events elsewhere than its old ones, so that is never done behind somebody's back.
        """
        specs = list(specs)
        present = self.partitions(spec.name for spec in specs)
        for spec in specs:
            if present.get(spec.name, spec.partitions) != spec.partitions:
                raise ConfigError(
                    f"topic {spec.name} has {present[spec.name]} partitions, the settings say {spec.partitions}; "
                    f"set partitions to {present[spec.name]}, or use new topics (a changed count would part "
                    "communities from their history)"
                )
        missing = [spec for spec in specs if spec.name not in present]
        if missing and not dry_run:
            with self._reached():
                self._admin.create_topics(
                    {
                        spec.name: {
                            "num_partitions": spec.partitions,
                            "replication_factor": replication_factor,
                            "configs": dict(spec.config),
                        }
                        for spec in missing
                    },
                    wait_for_metadata=True,
                )
        return [
            TopicChange(spec.name, "created", spec.partitions)
            if spec in missing
            else self._align(spec, dry_run=dry_run)
            for spec in specs
        ]

    def _align(self, spec: TopicSpec, *, dry_run: bool) -> TopicChange:
        with self._reached():
            present = self._configs(spec.name)
            wrong = {name: value for name, value in spec.config.items() if present.get(name) != value}
            if wrong and not dry_run:
                self._admin.alter_configs([_resource(spec.name, wrong)])
        if not wrong:
            return TopicChange(spec.name, "unchanged", spec.partitions)
        detail = ", ".join(f"{name}: {present.get(name)} → {value}" for name, value in wrong.items())
        return TopicChange(spec.name, "changed", spec.partitions, detail)

    def _configs(self, topic: str) -> Mapping[str, str]:
        found: Any = self._admin.describe_configs([_resource(topic, None)], config_filter="all")
        by_name = next(iter(found.values()))[topic]
        return {name: str(entry["value"]) for name, entry in by_name.items()}

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except (KafkaError, OSError, ValueError) as error:
            said = str(error) or type(error).__name__
            raise KafkaUnavailable(
                f"Kafka at {self.bootstrap_servers} does not answer as it should: {said}; "
                "check that it runs and that kafka_bootstrap_servers is right"
            ) from None


def _resource(topic: str, configs: dict[str, str] | None) -> Any:
    from kafka.admin import ConfigResource, ConfigResourceType

    return ConfigResource(ConfigResourceType.TOPIC, topic, configs)
