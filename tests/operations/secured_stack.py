"""A broker with TLS, passwords and ACLs, a ClickHouse, and our own programs run against them as one user or another."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests

from infra.embedded.clickhouse import ClickHouseServer
from infra.embedded.kafka import KafkaBroker, free_port
from infra.embedded.kafka_security import BrokerSecurity
from sinks.kafka_login import KafkaLogin
from streams.kafka_rights import ROLES
from tests.certificates import make_authority, make_server
from tests.forked import Forked, run_forked

PARTITIONS = 2
PATIENCE_SECONDS = 120.0
CANARY = "Kanarienvogel"
"""Every password of these tests holds it, so that any of them can be looked for in what was printed."""


@dataclass
class SecuredStack:
    """What runs, and how to speak to it."""

    folder: Path
    broker: KafkaBroker
    clickhouse: ClickHouseServer
    passwords: dict[str, str]
    children: list[Forked] = field(default_factory=list)

    @property
    def certificates(self) -> Path:
        """Folder of ca.pem, and of other-ca.pem, which signed nothing here."""
        return self.folder / "certificates"

    def login(self, user: str) -> KafkaLogin:
        """A user of the cluster with the right password."""
        return KafkaLogin(
            self.broker.bootstrap_servers,
            "SASL_SSL",
            self.certificates / "ca.pem",
            user=user,
            password=self.passwords[user],
        )

    def settings(self, user: str, **changed: object) -> dict[str, str]:
        """The environment of a program that runs as `user`; `changed` are settings by name."""
        values = {
            "kafka_bootstrap_servers": self.broker.bootstrap_servers,
            "kafka_security_protocol": "SASL_SSL",
            "kafka_ca_file": self.certificates / "ca.pem",
            "kafka_user": user,
            "kafka_password_file": self.secret_file(user),
            "clickhouse_port": self.clickhouse.port,
            "partitions": PARTITIONS,
            "metrics_port": free_port(),
            "clock_mode": "event",
            "flush_interval_seconds": 0.3,
            "insert_timeout_seconds": 2,
            "session_timeout_seconds": 6,
            "data_dir": self.folder / "no-embedded-stack-here",
        } | changed
        return {f"QUNPULSE_{name.upper()}": str(value) for name, value in values.items() if value is not None}

    def secret_file(self, user: str) -> Path:
        """The file that holds a user's password."""
        path = self.folder / "secrets" / user
        path.parent.mkdir(exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(self.passwords[user] + "\n")
        return path

    def run(self, *arguments: str | Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run `qunpulse …` to its end."""
        return run_forked(arguments, _environment(env), PATIENCE_SECONDS)

    def start(self, *arguments: str | Path, env: Mapping[str, str], log: Path) -> Forked:
        """Start `qunpulse …` and leave it running; what it prints goes to `log`."""
        child = Forked(arguments, _environment(env), log)
        self.children.append(child)
        return child

    def wait_ready(self, child: Forked, env: Mapping[str, str], log: Path) -> None:
        """Wait until a started program answers /readyz with 200."""
        url = f"http://127.0.0.1:{env['QUNPULSE_METRICS_PORT']}/readyz"
        token = {"Authorization": f"Bearer {env.get('QUNPULSE_METRICS_TOKEN', '')}"}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with suppress(OSError):
                if requests.get(url, headers=token, timeout=1).status_code == 200:
                    return
            assert child.poll() is None, log.read_text(errors="replace")[-3000:]
            assert time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
            time.sleep(0.05)

    def stop(self) -> None:
        """End everything."""
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        self.clickhouse.stop()
        self.broker.stop()


def start_secured_stack(folder: Path) -> SecuredStack:
    """Certificates, users and servers; topics and ACLs are not there yet."""
    certificates = folder / "certificates"
    make_server(certificates, "broker", make_authority(certificates, "ca"))
    make_authority(certificates, "other-ca")
    passwords = {user: f"{CANARY}-{user}" for user in ("broker", "root", "nobody", "stranger", *ROLES)}
    stack = SecuredStack(
        folder,
        KafkaBroker(folder, 0, BrokerSecurity(certificates, passwords)),
        ClickHouseServer(folder, 0),
        passwords,
    )
    try:
        with ThreadPoolExecutor(2) as pool:
            for started in [pool.submit(stack.broker.start), pool.submit(stack.clickhouse.start)]:
                started.result()
    except BaseException:
        stack.stop()
        raise
    return stack


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("QUNPULSE_")}
    return inherited | settings
