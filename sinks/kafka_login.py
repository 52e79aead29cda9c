"""How to reach Kafka and who we are there; and what a refusal means, in words for people.

One value for every client of this project: kafka-python's producers, consumers and admin, aiokafka's producer, and the
worker's consumer. `refusal` sorts their errors: what a person must mend (password, certificate, a missing right) ends
a command in one sentence, everything else is an outage that may pass.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from streams.errors import ConfigError, KafkaRefused

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

# By name: aiokafka and kafka-python have classes of their own with the same names.
_WRONG_PASSWORD: Final = frozenset(
    {"SaslAuthenticationFailedError", "AuthenticationFailedError", "AuthenticationMethodNotSupported"}
    | {"UnsupportedSaslMechanismError", "IllegalSaslStateError"}
)
_MISSING_RIGHT: Final = frozenset(
    {"TopicAuthorizationFailedError", "GroupAuthorizationFailedError", "ClusterAuthorizationFailedError"}
    | {"TransactionalIdAuthorizationFailedError"}
)


@dataclass(frozen=True)
class KafkaLogin:
    """Brokers, how the connection is secured, and as whom; the password is in no repr."""

    bootstrap_servers: str
    security_protocol: SecurityProtocol = "PLAINTEXT"
    ca_file: Path | None = None  # None: the certificates that the system trusts
    sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, where: KafkaLogin | str) -> KafkaLogin:
        """`where` itself, or an open broker at that address."""
        return where if isinstance(where, KafkaLogin) else cls(where)

    @property
    def servers(self) -> list[str]:
        """host:port of each broker to ask first."""
        return [server.strip() for server in self.bootstrap_servers.split(",")]

    @property
    def encrypted(self) -> bool:
        """Whether the connection is TLS."""
        return self.security_protocol in {"SSL", "SASL_SSL"}

    @property
    def with_password(self) -> bool:
        """Whether the broker asks who we are."""
        return self.security_protocol in {"SASL_PLAINTEXT", "SASL_SSL"}

    def options(self) -> dict[str, Any]:
        """Arguments of a client of kafka-python or aiokafka. Raises ConfigError for a CA file that is no use."""
        chosen: dict[str, Any] = {"bootstrap_servers": self.servers, "security_protocol": self.security_protocol}
        if self.encrypted:
            chosen["ssl_context"] = self.tls()
        if self.with_password:
            chosen |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        return chosen

    def tls(self) -> ssl.SSLContext:
        """A context that believes the CA file alone, or the system's certificates when there is none."""
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:  # ssl.SSLError is one
            said = "it holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigError(f"kafka_ca_file {self.ca_file} cannot be used: {said}") from None

    def refusal(self, error: BaseException, doing: str) -> KafkaRefused | None:
        """The sentence about an error that will not go away by itself; None when it may.

        `doing` says what was tried, as in "to read community.alerts.v1".
        """
        for cause in _chain(error):
            kind = type(cause).__name__
            if kind in _WRONG_PASSWORD:
                return self.wrong_password(self.bootstrap_servers)
            if kind in _MISSING_RIGHT:
                return self.missing_right(f"{doing} ({_said(cause)})")
            if isinstance(cause, ssl.SSLError):
                return self.no_trust(self.bootstrap_servers, cause)
        return None

    def wrong_password(self, server: str) -> KafkaRefused:
        """The broker does not believe that we are this user."""
        return KafkaRefused(
            f"Kafka at {server} refused the password of user {self.user} ({self.sasl_mechanism}); "
            "check kafka_user, kafka_password and kafka_sasl_mechanism"
        )

    def missing_right(self, doing: str) -> KafkaRefused:
        """The broker knows who we are, and that we may not."""
        return KafkaRefused(
            f"Kafka at {self.bootstrap_servers} does not allow user {self.user or 'ANONYMOUS'} {doing}; "
            "`qunpulse topics acls` shows what each of our users needs, and with --apply grants it"
        )

    def no_trust(self, server: str, error: ssl.SSLError) -> KafkaRefused:
        """The broker's certificate is not from our CA or not for its host, or it speaks no TLS."""
        if isinstance(error, ssl.SSLCertVerificationError):
            by = f"by the CA in kafka_ca_file {self.ca_file}" if self.ca_file else "by a CA that this system trusts"
            return KafkaRefused(
                f"the certificate of Kafka at {server} is not vouched for {by}: {error.verify_message}; "
                "set kafka_ca_file to the CA that signed it"
            )
        return KafkaRefused(
            f"Kafka at {server} does not speak TLS as kafka_security_protocol {self.security_protocol} wants it "
            f"({error.reason or error}); check the port and the protocol"
        )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _said(error: BaseException) -> str:
    name = type(error).__name__.removesuffix("Error")
    return f"{name}: {error.args[0]}" if error.args and isinstance(error.args[0], str) else name
