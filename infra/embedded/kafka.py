"""One real Apache Kafka broker (KRaft, broker and controller in one process) on 127.0.0.1."""

from __future__ import annotations

import base64
import socket
import struct
import sys
import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.embedded.child import ChildProcess
from infra.embedded.java import Java, find_java
from infra.embedded.kafka_security import BrokerSecurity
from infra.embedded.maven import kafka_jars
from streams.errors import EmbeddedError

HOST = "127.0.0.1"
STANDARD_PORT = 9092
_START_SECONDS = 120.0  # a cold start on a busy machine; an idle one needs 2 s
_PORT_ATTEMPTS = 3
_GUARD = Path(__file__).with_name("guard.py")
_LOG4J = Path(__file__).with_name("log4j2.xml")

_HEAP = ["-Xms128m", "-Xmx512m"]
# The optimising compiler costs a short-lived broker more than it gives back: starting took 4.4 s of CPU time instead of
# 8.1, and taking in 400,000 records 4.3 s instead of 9.4. A heap this small needs no concurrent collector.
_JVM = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Djava.awt.headless=true"]

# What differs from Kafka's defaults, and why. Who may connect:
_OPEN = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
# A mistyped topic name is an error, not a new topic with one partition.
auto.create.topics.enable=false
# A dead letter carries the original bytes of a record and must not be too large for the topic itself.
message.max.bytes=10485760
replica.fetch.max.bytes=10485760
"""
# And how small it is, secured or not:
_SMALL = """\
# Relative to the folder it runs in, whose own name may hold any character.
log.dirs=log
# There is one node: internal topics cannot have more copies.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
# Long enough for workers started together to join together, short enough not to be noticed.
group.initial.rebalance.delay.ms=200
group.min.session.timeout.ms=1000
# Sized for one small process; the log cleaner alone would take 128 MiB of the heap.
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=16777216
num.recovery.threads.per.data.dir=2
"""


class KafkaBroker:
    """A broker with its data in `data_dir`/kafka and its logs in `data_dir`/logs.

    `port` is taken when it is free, else another one is; after `start` it says which. With `security` it asks everybody
    for a password and looks up what they may.
    """

    def __init__(self, data_dir: Path, port: int = STANDARD_PORT, security: BrokerSecurity | None = None) -> None:
        self.data_dir = data_dir.resolve()
        self.port = port
        self._security = security
        self._process: ChildProcess | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Address for clients."""
        return f"{HOST}:{self.port}"

    @property
    def process(self) -> ChildProcess:
        """The running broker; raises EmbeddedError before `start`."""
        if self._process is None:
            raise EmbeddedError("the broker has not been started")
        return self._process

    def start(
        self,
        report: Callable[[str], None] = lambda _: None,
        cancelled: threading.Event | None = None,
        java: Java | None = None,
        jars: Sequence[Path] = (),
        keeps_open: Sequence[int] = (),
    ) -> None:
        """Start and wait until it answers; `java` and `jars` are looked for when not given.

        Raises EmbeddedError with the cause when it does not start.
        """
        java = java or find_java()
        jars = jars or kafka_jars(report=report)
        wanted = self.port
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self.port = wanted if is_free(wanted) else free_port()
            controller_port = free_port(besides=self.port)
            properties = self._write_properties(controller_port)
            command = self._java_command(java, jars)
            if not (self._log_folder / "meta.properties").exists():
                report("preparing the broker's folder")
                self._format(command, properties, cancelled)
            self._process = ChildProcess(
                "the Kafka broker",
                [sys.executable, "-I", "-S", _GUARD, *command, "kafka.Kafka", properties],
                self.data_dir / "logs" / "kafka-process.log",
                keeps_open=keeps_open,
                folder=self._folder,
            )
            try:
                self._process.wait_until(self._answers, _START_SECONDS, cancelled)
            except EmbeddedError:
                # Between looking for a free port and taking it another program may have been quicker.
                port_lost = "Address already in use" in self._process.tail()
                self.stop()
                if attempt == _PORT_ATTEMPTS or not port_lost:
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                return

    def stop(self) -> None:
        """Stop it cleanly (1–2 s); does nothing when it does not run."""
        if self._process is not None:
            self._process.stop()

    def _answers(self) -> bool:
        return self._security.answers(HOST, self.port) if self._security else answers(HOST, self.port)

    @property
    def _folder(self) -> Path:
        return self.data_dir / "kafka"

    @property
    def _log_folder(self) -> Path:
        return self._folder / "log"

    def _write_properties(self, controller_port: int) -> Path:
        if self._security is None:
            text = _OPEN.format(host=HOST, port=self.port, controller_port=controller_port) + _SMALL
        else:
            text = self._security.properties(self.bootstrap_servers, f"{HOST}:{controller_port}") + _SMALL
        path = self._folder / "server.properties"
        try:
            self._log_folder.mkdir(parents=True, exist_ok=True)
            (self.data_dir / "logs").mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)  # a password may stand in it
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise EmbeddedError(f"cannot write to the data folder: {error.strerror}: {error.filename}") from error
        return path

    def _java_command(self, java: Java, jars: Sequence[Path]) -> list[str | Path]:
        # Newer Javas complain on every start about native libraries and memory access that Kafka's own jars use.
        newer = ["--enable-native-access=ALL-UNNAMED"] if java.version >= 22 else []
        newer += ["--sun-misc-unsafe-memory-access=allow"] if java.version >= 23 else []
        return [
            java.path,
            *_HEAP,
            *_JVM,
            *newer,
            f"-Dlog4j2.configurationFile={_LOG4J}",
            "-Dqunpulse.kafka.log=../logs/kafka.log",
            "-cp",
            ":".join(map(str, jars)),
        ]

    def _format(self, command: list[str | Path], properties: Path, cancelled: threading.Event | None) -> None:
        arguments: list[str | Path] = ["--cluster-id", _cluster_id(), "--config", properties]
        arguments += self._security.format_arguments() if self._security else []
        formatting = ChildProcess(
            "preparing the broker's folder",
            [*command, "kafka.tools.StorageTool", "format", *arguments],
            self.data_dir / "logs" / "kafka-format.log",
            folder=self._folder,
        )
        try:
            formatting.wait_until_ended(_START_SECONDS, cancelled)
        finally:
            formatting.stop()
        if formatting.exit_code:
            raise EmbeddedError(f"the broker's folder {self._log_folder} could not be prepared: {formatting.reason()}")


def is_free(port: int) -> bool:
    """Tell whether a server may listen on `port` of 127.0.0.1 (0: never, it names no port)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return port != 0


def free_port(besides: int = 0) -> int:
    """Return a port of 127.0.0.1 that is free now."""
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
        if port != besides:
            return port


def answers(host: str, port: int) -> bool:
    """Tell whether a broker answers a Metadata request and names itself among the live brokers.

    A socket that accepts is not enough: the broker listens before it may lead partitions.
    """
    client = b"qunpulse"
    body = struct.pack(f">hhih{len(client)}si", 3, 1, 1, len(client), client, 0)  # Metadata v1, no topics
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            with connection.makefile("rb") as answer:
                (size,) = struct.unpack(">i", answer.read(4))
                _, brokers = struct.unpack(">ii", answer.read(size)[:8])
    except (OSError, struct.error):
        return False
    return bool(brokers > 0)


def _cluster_id() -> str:
    """A random id as Kafka writes them; one that begins with a dash would be read as an option by its own tool."""
    while True:
        drawn = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not drawn.startswith("-"):
            return drawn
