"""What the command line asks and tells a Kafka cluster: which topics, how far, as they must be.

One admin client; every failure leaves as KafkaUnavailable with the broker's address, or as KafkaRefused when a person
must mend something. Workers use it once, when they start.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Self

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    OffsetSpec,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.errors import (
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    GroupIdNotFoundError,
    KafkaError,
    UnknownTopicOrPartitionError,
)

from schemas.topics import TopicSpec
from sinks.kafka_door import knock
from sinks.kafka_login import KafkaLogin
from streams.errors import ConfigError, KafkaUnavailable
from streams.kafka_rights import Right

_FORBIDDEN: Final = 29  # TOPIC_AUTHORIZATION_FAILED, for topics that one may not see whether or not they are there
_SHOWN: Final = 5


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


@dataclass(frozen=True)
class TopicState:
    """How a topic is: its settings by Kafka's names; numbers of partitions without leader, or short of a replica."""

    partitions: int
    config: Mapping[str, str]
    leaderless: Sequence[int]
    out_of_sync: Sequence[int]


class KafkaCluster:
    """A connection to the cluster; close it, or use it as a context manager."""

    def __init__(self, where: KafkaLogin | str, timeout_seconds: float = 10.0) -> None:
        self.login = KafkaLogin.of(where)
        self.bootstrap_servers = self.login.bootstrap_servers
        knock(self.login)
        logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters is restated as KafkaUnavailable
        with self._reached():
            self._admin = KafkaAdminClient(
                **self.login.options(),
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
        described = self._describe(topics)
        hidden = [name for name, topic in described.items() if topic["error_code"] == _FORBIDDEN]
        if hidden:
            raise self.login.missing_right(f"to see {_listed(hidden)}")
        return {name: len(topic["partitions"]) for name, topic in described.items() if topic["partitions"]}

    def require(self, rights: Sequence[Right]) -> None:
        """Raise KafkaRefused that names what we lack of these rights; topics that are not there lack nothing.

        Brokers say so themselves, and one at a time, in the middle of the work: a worker that may read but not write
        would stop at its first dead letter.
        """
        topics = self._describe({right.name for right in rights if right.resource == "topic"})
        lacking = []
        for right in rights:
            if right.resource == "group":
                allowed = self._allowed_on_group(right.name)
            else:
                topic = topics[right.name]
                allowed = topic["authorized_operations"] if topic["error_code"] == 0 else None
                if topic["error_code"] == _FORBIDDEN:
                    allowed = []
            if allowed is not None and right.operation not in allowed:
                lacking.append(right)
        if lacking:
            raise self.login.missing_right(_listed(map(str, lacking)))

    def allow(self, user: str, rights: Sequence[Right]) -> int:
        """Give a user what it lacks of these rights, from any host; returns how many ACLs that were."""
        principal = f"User:{user}"
        everything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
        with self._reached():
            found, _ = self._admin.describe_acls(
                ACLFilter(principal, None, ACLOperation.ANY, ACLPermissionType.ANY, everything)
            )
            present = {_acl_key(acl) for acl in found}
            missing = [acl for acl in (_acl(principal, right) for right in rights) if _acl_key(acl) not in present]
            if missing:
                for _, error in self._admin.create_acls(missing)["failed"]:
                    raise error
        return len(missing)

    def _describe(self, topics: Iterable[str]) -> dict[str, Any]:
        names = sorted(set(topics))
        if not names:  # none would mean all of them
            return {}
        with self._reached():
            return {topic["name"]: topic for topic in self._admin.describe_topics(names)}

    def _allowed_on_group(self, group: str) -> list[str] | None:
        """Names of operations; None when it cannot be known yet: the first group of a cluster waits for its topic."""
        try:
            found = self._admin.describe_groups([group])
        except GroupAuthorizationFailedError:
            return []
        except KafkaError:
            return None
        allowed: list[str] | None = found[group]["authorized_operations"] if group in found else None
        return allowed

    def spans(self, topics: Iterable[str]) -> dict[tuple[str, int], Span]:
        """First and next offset of every partition of these topics; topics that do not exist are left out."""
        wanted = [TopicPartition(t, p) for t, count in self.partitions(topics).items() for p in range(count)]
        if not wanted:
            return {}
        with self._reached():
            begin = self._admin.list_partition_offsets(dict.fromkeys(wanted, OffsetSpec.EARLIEST))
            end = self._admin.list_partition_offsets(dict.fromkeys(wanted, OffsetSpec.LATEST))
        return {(tp.topic, tp.partition): Span(begin[tp].offset, end[tp].offset) for tp in wanted}

    def topic_states(self, topics: Iterable[str]) -> dict[str, TopicState]:
        """How each of these topics that exists is."""
        states = {}
        for name in self.partitions(topics):
            with self._reached():
                try:
                    (topic,) = self._admin.describe_topics([name])
                    parts, config = topic["partitions"], self._configs(name)
                except UnknownTopicOrPartitionError:  # deleted since
                    continue
            states[name] = TopicState(
                len(parts),
                config,
                [part["partition_index"] for part in parts if part["leader_id"] < 0],
                [part["partition_index"] for part in parts if len(part["isr_nodes"]) < len(part["replica_nodes"])],
            )
        return states

    def newest_append_ms(self, topics: Iterable[str]) -> int | None:
        """Newest time that a broker wrote on a record of these topics, milliseconds; None while they are empty."""
        wanted = [TopicPartition(t, p) for t, count in self.partitions(topics).items() for p in range(count)]
        if not wanted:
            return None
        with self._reached():
            newest = self._admin.list_partition_offsets(dict.fromkeys(wanted, OffsetSpec.MAX_TIMESTAMP))
        return max((found.timestamp for found in newest.values() if found.timestamp > 0), default=None)

    def group(self, group_id: str) -> tuple[str, int]:
        """State of a consumer group in Kafka's words (`Dead` when there is none), and how many members it has."""
        with self._reached():
            try:
                found = self._admin.describe_groups([group_id]).get(group_id)
            except (GroupIdNotFoundError, CoordinatorNotAvailableError):
                return "Dead", 0
        return (str(found["group_state"]), len(found["members"])) if found else ("Dead", 0)

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
            refused = self.login.refusal(error, "to do that")
            if refused is not None:
                raise refused from None
            said = str(error) or type(error).__name__
            raise KafkaUnavailable(
                f"Kafka at {self.bootstrap_servers} does not answer as it should: {said}; "
                "check that it runs and that kafka_bootstrap_servers and kafka_security_protocol are right"
            ) from None


def _listed(names: Iterable[str]) -> str:
    """The first few, so that a message stays a sentence."""
    all_of_them = list(names)
    more = len(all_of_them) - _SHOWN
    return ", ".join(all_of_them[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _acl(principal: str, right: Right) -> Any:
    kind = ResourceType.TOPIC if right.resource == "topic" else ResourceType.GROUP
    pattern = ResourcePattern(kind, right.name)
    return ACL(principal, "*", ACLOperation[right.operation], ACLPermissionType.ALLOW, pattern)


def _acl_key(acl: Any) -> tuple[Any, ...]:
    pattern = acl.resource_pattern
    return pattern.resource_type, pattern.resource_name, pattern.pattern_type, acl.operation, acl.permission_type


def _resource(topic: str, configs: dict[str, str] | None) -> Any:
    from kafka.admin import ConfigResource, ConfigResourceType

    return ConfigResource(ConfigResourceType.TOPIC, topic, configs)
