"""Every setting of qunpulse, and where its value came from.

Order of precedence: command-line flag, environment (`QUNPULSE_<NAME>`), settings file (TOML: `--config`,
`QUNPULSE_CONFIG`, else `qunpulse.toml` in the working directory), default. Relative paths count from the
working directory wherever they were set.
"""

from __future__ import annotations

import difflib
import os
import socket
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from sinks.kafka_login import KafkaLogin, SaslMechanism, SecurityProtocol
from streams.errors import ConfigError
from streams.settings_secrets import ENV_PREFIX, SECRETS, plain, refuse_examples, variable_of, with_secrets_of_files

CONFIG_VARIABLE = "QUNPULSE_CONFIG"
DEFAULT_CONFIG_FILE = Path("qunpulse.toml")

# Variables with our prefix that are no settings: where the settings file is, where downloads are kept.
OTHER_VARIABLES = frozenset({CONFIG_VARIABLE, "QUNPULSE_CACHE_DIR"})


def _default_worker_id() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


# Flags that are shorter than their setting's name.
SHORT_FLAGS = {"data_dir": "--data", "rules_file": "--rules", "kafka_bootstrap_servers": "--kafka"}


class Settings(BaseSettings):
    """What is in force. `Settings.load` reads all sources; `Settings(...)` the environment and arguments."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    kafka_bootstrap_servers: str = Field(
        "127.0.0.1:9092", min_length=1, description="Kafka brokers, host:port, separated by commas"
    )
    kafka_security_protocol: SecurityProtocol = Field(
        "PLAINTEXT", description="how brokers are spoken to: SASL_SSL = encrypted and with a password"
    )
    kafka_ca_file: Path | None = Field(
        None, description="PEM file of the CA that signed the brokers' certificates; none: those the system trusts"
    )
    kafka_sasl_mechanism: SaslMechanism = Field("SCRAM-SHA-512", description="how the password is shown to brokers")
    kafka_user: str = Field("", description="Kafka user (SASL)")
    kafka_password: SecretStr = Field(SecretStr(""), description="that user's password")
    kafka_password_file: Path | None = Field(None, description="file that holds kafka_password")
    clickhouse_host: str = Field("127.0.0.1", min_length=1, description="ClickHouse server's host")
    clickhouse_port: int = Field(8123, ge=1, le=65535, description="ClickHouse's HTTP port, or HTTPS port (8443)")
    clickhouse_user: str = Field("default", description="ClickHouse user that may write to qunpulse_store")
    clickhouse_password: SecretStr = Field(SecretStr(""), description="that user's password")
    clickhouse_password_file: Path | None = Field(None, description="file that holds clickhouse_password")
    clickhouse_secure: bool = Field(False, description="speak HTTPS to ClickHouse")
    clickhouse_ca_file: Path | None = Field(
        None, description="PEM file of the CA that signed ClickHouse's certificate; none: those the system trusts"
    )

    partitions: int = Field(4, ge=1, le=1024, description="partitions of each event topic; fixed once the topics exist")
    replication_factor: int = Field(1, ge=1, le=16, description="replicas of each topic; 3 in production")
    group_id: str = Field("qunpulse", min_length=1, description="consumer group of the workers")
    worker_id: str = Field(
        default_factory=_default_worker_id, min_length=1, description="name of this worker in claims and logs"
    )
    generation: int = Field(
        1, ge=0, le=255, description="rebuild number; a higher one wins over every row of a lower one"
    )

    clock_mode: Literal["live", "event"] = Field(
        "live",
        description="live: silence moves windows on by the wall clock; event: only events do (replays)",
    )
    allowed_lateness_seconds: int = Field(
        86_400,
        ge=0,
        le=31_536_000,
        description="how far behind its community's event clock an event may come",
    )
    flush_interval_seconds: float = Field(1.0, gt=0, le=60, description="longest time between two checkpoints")
    flush_max_events: int = Field(100_000, ge=1, description="events after which a checkpoint is made anyway")
    flush_max_rows: int = Field(
        500_000, ge=1, le=900_000, description="changed state rows after which a checkpoint is made anyway"
    )
    batch_max_records: int = Field(20_000, ge=1, le=500_000, description="records applied in one go")
    buffer_max_records: int = Field(60_000, ge=1, description="fetched records kept in memory before fetching pauses")
    dead_letter_stop_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="share of recent records dead-lettered at which the worker stops; 1 = never",
    )
    dead_letter_stop_window: int = Field(
        10_000, ge=100, description="how many records count as recent for dead_letter_stop_share"
    )
    max_record_bytes: int = Field(262_144, ge=1024, description="a larger record is dead-lettered as too_large")

    pseudonymise: bool = Field(False, description="replace member ids by keyed hashes at the door")
    pseudonym_key: SecretStr | None = Field(
        None, description="key of those hashes; the same key gives the same pseudonyms"
    )
    pseudonym_key_file: Path | None = Field(None, description="file that holds pseudonym_key")
    rules_file: Path | None = Field(None, description="YAML file with communities, platforms, …; none: defaults")

    churn_model_file: Path | None = Field(
        None, description="file that `qunpulse model fit` wrote; none: the model that ships"
    )

    metrics_host: str = Field("127.0.0.1", description="address that /metrics, /healthz and /readyz listen on")
    metrics_port: int = Field(9108, ge=0, le=65535, description="their port; 0 picks a free one")
    metrics_token: SecretStr = Field(
        SecretStr(""), description="bearer token that /metrics and /readyz ask for; empty: nobody is asked"
    )
    metrics_token_file: Path | None = Field(None, description="file that holds metrics_token")
    insert_timeout_seconds: int = Field(30, ge=1, le=600, description="longest time one ClickHouse insert may take")
    session_timeout_seconds: int = Field(
        10, ge=1, le=600, description="silence after which Kafka gives a worker's partitions to another"
    )
    data_dir: Path = Field(Path("data"), description="folder of the embedded Kafka and ClickHouse")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe log line shown")
    log_format: Literal["text", "json"] = Field("text", description="log lines for people, or one JSON object a line")

    @model_validator(mode="before")
    @classmethod
    def _secrets_may_stand_in_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        return with_secrets_of_files(values)

    @model_validator(mode="after")
    def _no_secret_is_the_example(self) -> Self:
        refuse_examples({name: getattr(self, name) for name in SECRETS})
        return self

    @model_validator(mode="after")
    def _connections_are_as_safe_as_they_look(self) -> Self:
        asked = self.kafka_security_protocol.startswith("SASL_")
        if asked and not (self.kafka_user and plain(self.kafka_password)):
            raise ValueError(
                f"kafka_security_protocol is {self.kafka_security_protocol}, which needs kafka_user and kafka_password "
                "(or kafka_password_file)"
            )
        if self.kafka_user and not asked:
            raise ValueError(
                f"kafka_user is set, but kafka_security_protocol {self.kafka_security_protocol} asks nobody for a "
                "password; set it to SASL_SSL"
            )
        if self.kafka_ca_file and not self.kafka_security_protocol.endswith("SSL"):
            raise ValueError(
                f"kafka_ca_file is set, but kafka_security_protocol {self.kafka_security_protocol} does not encrypt; "
                "set it to SASL_SSL or SSL"
            )
        if self.clickhouse_ca_file and not self.clickhouse_secure:
            raise ValueError(
                "clickhouse_ca_file is set, but clickhouse_secure is off; set QUNPULSE_CLICKHOUSE_SECURE=1"
            )
        token = plain(self.metrics_token)
        if " " in token or not (token.isascii() and token.isprintable()):
            raise ValueError(
                "metrics_token travels in an HTTP header, which takes ASCII letters, digits and signs without spaces; "
                "`openssl rand -hex 24` makes one"
            )
        return self

    @model_validator(mode="after")
    def _agree_with_each_other(self) -> Self:
        if self.buffer_max_records < self.batch_max_records:
            raise ValueError(
                f"buffer_max_records ({self.buffer_max_records}) must not be smaller than "
                f"batch_max_records ({self.batch_max_records})"
            )
        if self.pseudonymise and not (self.pseudonym_key and self.pseudonym_key.get_secret_value()):
            raise ValueError("pseudonymise is on but pseudonym_key is empty; set QUNPULSE_PSEUDONYM_KEY")
        return self

    @classmethod
    def load(cls, flags: Mapping[str, Any] | None = None, config_file: Path | None = None) -> LoadedSettings:
        """Settings from all sources; flags that are None count as not given. Raises ConfigError."""
        path = _find_config_file(config_file)
        given = {name: value for name, value in (flags or {}).items() if value is not None}
        _refuse_unknown(given, cls, "flag", _flag_name)
        _refuse_unknown(_our_variables(), cls, "environment variable", variable_of)
        in_file = _read_file(cls, path) if path else {}
        in_environment = EnvSettingsSource(cls)()

        origins = dict.fromkeys(cls.model_fields, "default")
        origins |= dict.fromkeys(in_file, f"file {path}")
        origins |= {name: f"environment {variable_of(name)}" for name in in_environment}
        origins |= {name: f"flag {_flag_name(name)}" for name in given}
        merged = {**in_file, **in_environment, **given}
        origins |= {name: f"file {merged[f'{name}_file']}" for name in SECRETS if merged.get(f"{name}_file")}
        try:
            settings = cls(**merged)
        except ValidationError as error:
            raise ConfigError(_explain(error, origins)) from None
        return LoadedSettings(settings, origins, path)

    def kafka(self) -> KafkaLogin:
        """Where Kafka is and who we are there."""
        return KafkaLogin(
            self.kafka_bootstrap_servers,
            self.kafka_security_protocol,
            self.kafka_ca_file,
            self.kafka_sasl_mechanism,
            self.kafka_user,
            self.kafka_password.get_secret_value(),
        )

    def environment(self) -> dict[str, str]:
        """These settings as QUNPULSE_ variables, secrets included, for a worker started as a child."""
        variables = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is None or name == "worker_id":  # a child has a name of its own
                continue
            if name in SECRETS and getattr(self, f"{name}_file"):  # it reads the file itself
                continue
            text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            if text:
                variables[variable_of(name)] = text
        return variables


class SettingRow(NamedTuple):
    """One line of `qunpulse config`."""

    name: str
    value: str
    origin: str
    description: str


@dataclass(frozen=True)
class LoadedSettings:
    """Settings together with each value's origin: `flag …`, `environment …`, `file …` or `default`."""

    settings: Settings
    origins: dict[str, str]
    config_file: Path | None

    def rows(self) -> list[SettingRow]:
        """Every setting in the order of the class, secrets masked."""
        return [
            SettingRow(name, _shown(getattr(self.settings, name)), self.origins[name], field.description or "")
            for name, field in Settings.model_fields.items()
        ]


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else ""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _flag_name(name: str) -> str:
    return SHORT_FLAGS.get(name) or f"--{name.replace('_', '-')}"


def _our_variables() -> Iterable[str]:
    for variable in os.environ:
        if variable.upper().startswith(ENV_PREFIX) and variable.upper() not in OTHER_VARIABLES:
            yield variable.upper().removeprefix(ENV_PREFIX).lower()


def _find_config_file(flag: Path | None) -> Path | None:
    named = flag or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    if named is not None:
        if not named.is_file():
            source = "--config" if flag else CONFIG_VARIABLE
            raise ConfigError(f"settings file {named} (from {source}) does not exist; create it or drop {source}")
        return named
    return DEFAULT_CONFIG_FILE if DEFAULT_CONFIG_FILE.is_file() else None


def _read_file(cls: type[Settings], path: Path) -> dict[str, Any]:
    try:
        values = TomlConfigSettingsSource(cls, toml_file=path)()
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"settings file {path} is not valid TOML: {error}") from None
    except OSError as error:
        raise ConfigError(f"settings file {path} cannot be read: {error.strerror}") from None
    _refuse_unknown(values, cls, f"setting in {path}:", str)
    return values


def _refuse_unknown(names: Iterable[str], cls: type[Settings], what: str, shown: Any) -> None:
    for name in names:
        if name in cls.model_fields:
            continue
        near = difflib.get_close_matches(name, list(cls.model_fields), n=1, cutoff=0.6)
        hint = f"did you mean {shown(near[0])}?" if near else "`qunpulse config` lists all settings"
        raise ConfigError(f"unknown {what} {shown(name)}; {hint}")


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    lines = []
    for problem in error.errors():
        if not problem["loc"]:  # two settings contradict each other: the validator's own words say which
            lines.append(problem["msg"].removeprefix("Value error, "))
            continue
        name = str(problem["loc"][0])
        secret = name in SECRETS
        found = "(hidden)" if secret else repr(problem["input"])
        expected = problem["msg"].removeprefix("Input should be ")
        lines.append(f"setting {name} = {found} (from {origins[name]}): expected {expected}")
    return "; ".join(lines)
