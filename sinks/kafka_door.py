"""Introduces us to a broker once, before any client does.

Both client libraries take a certificate they do not believe and a password that is refused for a broker that is away:
they try again until they give up, and then say "unable to bootstrap". So the first connection is made here, as far as
the broker's answer to who we are, and a refusal is told at once and as what it is.
"""

from __future__ import annotations

import socket
import ssl
import struct
from typing import Final

from kafka.net.sasl import get_sasl_mechanism

from sinks.kafka_login import KafkaLogin

_PATIENCE_SECONDS: Final = 5.0
_SASL_HANDSHAKE: Final = 17
_SASL_AUTHENTICATE: Final = 36
_CLIENT: Final = b"qunpulse"


def knock(login: KafkaLogin) -> None:
    """Connect to the first broker that listens, and say who we are; a broker that is away is not our business here.

    Raises:
        KafkaRefused: its certificate is not from our CA, or it refuses our password.
        ConfigError: the CA file cannot be used.
    """
    if not login.encrypted and not login.with_password:
        return
    tls = login.tls() if login.encrypted else None
    for server in login.servers:
        host, _, port = server.rpartition(":")
        host = host.strip("[]")
        try:
            with socket.create_connection((host, int(port)), _PATIENCE_SECONDS) as connection:
                if tls is None:
                    _introduce(connection, login, server, host)
                    return
                with tls.wrap_socket(connection, server_hostname=host) as wrapped:
                    _introduce(wrapped, login, server, host)
                    return
        except ssl.SSLError as error:
            raise login.no_trust(server, error) from None
        except (OSError, struct.error):
            continue  # away, or ended the connection: the clients say so in their own time


def _introduce(connection: socket.socket, login: KafkaLogin, server: str, host: str) -> None:
    if not login.with_password:
        return
    mechanism = login.sasl_mechanism.encode()
    (refused,) = struct.unpack(">h", _ask(connection, _SASL_HANDSHAKE, 1, _sized(">h", mechanism))[:2])
    if refused:
        raise login.wrong_password(server)
    dialogue = get_sasl_mechanism(login.sasl_mechanism)(
        host=host,
        security_protocol=login.security_protocol,
        sasl_mechanism=login.sasl_mechanism,
        sasl_plain_username=login.user,
        sasl_plain_password=login.password,
    )
    while not dialogue.is_done():
        answer = _ask(connection, _SASL_AUTHENTICATE, 0, _sized(">i", dialogue.auth_bytes()))
        refused, length = struct.unpack(">hh", answer[:4])
        if refused:
            raise login.wrong_password(server)
        dialogue.receive(answer[4 + max(length, 0) + 4 :])


def _ask(connection: socket.socket, api: int, version: int, body: bytes) -> bytes:
    """One request of Kafka's protocol; the answer without its header. Raises OSError when the broker hangs up."""
    request = struct.pack(">hhi", api, version, 1) + _sized(">h", _CLIENT) + body
    connection.sendall(_sized(">i", request))
    (size,) = struct.unpack(">i", _read(connection, 4))
    return _read(connection, size)[4:]


def _sized(kind: str, content: bytes) -> bytes:
    return struct.pack(kind, len(content)) + content


def _read(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        piece = connection.recv(size - len(received))
        if not piece:
            raise ConnectionResetError
        received += piece
    return received
