"""The embedded broker with TLS, passwords and ACLs, configured by the very file that production takes.

For tests, and to try settings out before a cluster has them: the broker of `qunpulse demo` and `qunpulse up` stays open
to programs on this machine.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TEMPLATE: Final = Path(__file__).parents[1] / "kafka" / "secured.properties"
_API_VERSIONS: Final = struct.pack(">hhih", 18, 0, 1, -1)  # may be asked before one has said who one is


@dataclass(frozen=True)
class BrokerSecurity:
    """`certificates` holds broker.pem and ca.pem; `users` are made with the broker's folder, `broker` among them."""

    certificates: Path
    users: Mapping[str, str] = field(repr=False)

    def properties(self, listener: str, controller: str) -> str:
        """The text of the template with everything filled in."""
        text = TEMPLATE.read_text(encoding="utf-8")
        filled = {
            "listener": listener,
            "controller": controller,
            "certificates": str(self.certificates.resolve()),
            "password": self.users["broker"],
        }
        for name, value in filled.items():
            text = text.replace("{" + name + "}", value)
        return text

    def format_arguments(self) -> list[str]:
        """What kafka.tools.StorageTool needs to make the users."""
        return [
            argument
            for name, password in self.users.items()
            for argument in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]")
        ]

    def answers(self, host: str, port: int) -> bool:
        """Tell whether a broker answers over TLS."""
        context = ssl.create_default_context(cafile=self.certificates / "ca.pem")
        try:
            with (
                socket.create_connection((host, port), timeout=2) as plain,
                context.wrap_socket(plain, server_hostname=host) as connection,
            ):
                connection.sendall(struct.pack(">i", len(_API_VERSIONS)) + _API_VERSIONS)
                return len(connection.recv(4)) == 4
        except OSError:
            return False
