"""What the user's Maven settings say about where artifacts come from, for the resolver that does not read them.

`mvn` reads these files itself. The Python resolver (jgo) knows Maven Central only, so mirrors, credentials, proxies
and the local repository are handed to it from here. Read are the user's `~/.m2/settings.xml` and, below it in rank, the
`conf/settings.xml` of the installation that MAVEN_HOME names.
"""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from streams.errors import EmbeddedError

CENTRAL = "central"
_VARIABLE = re.compile(r"\$\{(?P<name>[^}]+)\}")


@dataclass(frozen=True, slots=True)
class MavenSettings:
    """The part of Maven's settings that decides where Maven Central's artifacts are fetched from."""

    local_repository: Path
    central_url: str | None = None  # of the mirror of Maven Central, with credentials; None: Maven's own address
    proxies: dict[str, str] = field(default_factory=dict)  # as environment variables


def read_maven_settings() -> MavenSettings:
    """Read the user's settings; the defaults of Maven when there are none.

    Raises EmbeddedError when a file is there and is not XML.
    """
    files = [Path.home() / ".m2" / "settings.xml"]
    if os.environ.get("MAVEN_HOME"):
        files.append(Path(os.environ["MAVEN_HOME"]) / "conf" / "settings.xml")
    documents = [_without_namespaces(path) for path in files if path.is_file()]
    default_repository = os.environ.get("M2_REPO") or str(Path.home() / ".m2" / "repository")
    local_repository = next(filter(None, (_text(doc, "localRepository") for doc in documents)), default_repository)
    return MavenSettings(
        local_repository=Path(local_repository).expanduser(),
        central_url=next(filter(None, map(_mirror_of_central, documents)), None),
        proxies=next(filter(None, map(_proxies, documents)), {}),
    )


def _without_namespaces(path: Path) -> ET.Element:
    try:
        root = ET.fromstring(path.read_bytes())  # noqa: S314 - the user's own settings file
    except ET.ParseError as error:
        raise EmbeddedError(
            f"the Maven settings file {path} is not valid XML ({error}); correct or remove it"
        ) from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _mirror_of_central(settings: ET.Element) -> str | None:
    for mirror in settings.iterfind("mirrors/mirror"):
        patterns = [p.strip() for p in _text(mirror, "mirrorOf").split(",")]
        matches = any(p in {"*", CENTRAL, "external:*"} for p in patterns) and f"!{CENTRAL}" not in patterns
        url = _text(mirror, "url").rstrip("/")
        if matches and url and _text(mirror, "blocked").lower() != "true":
            return _with_credentials(url, _text(mirror, "id"), settings)
    return None


def _with_credentials(url: str, server_id: str, settings: ET.Element) -> str:
    for server in settings.iterfind("servers/server"):
        user, password = _text(server, "username"), _text(server, "password")
        encrypted = password.startswith("{") and password.endswith("}")
        if _text(server, "id") == server_id and user and not encrypted:
            parts = urlsplit(url)
            host = f"{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc.rpartition('@')[2]}"
            return urlunsplit(parts._replace(netloc=host))
    return url


def _proxies(settings: ET.Element) -> dict[str, str]:
    for proxy in settings.iterfind("proxies/proxy"):
        host, port = _text(proxy, "host"), _text(proxy, "port") or "8080"
        if not host or _text(proxy, "active").lower() == "false":
            continue
        user, password = _text(proxy, "username"), _text(proxy, "password")
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
        address = f"http://{login}{host}:{port}"
        skipped = _text(proxy, "nonProxyHosts").replace("|", ",").replace("*.", ".")
        return {"HTTP_PROXY": address, "HTTPS_PROXY": address, "NO_PROXY": skipped}
    return {}


def _text(element: ET.Element, path: str) -> str:
    value = (element.findtext(path) or "").strip()

    def value_of(match: re.Match[str]) -> str:
        name = match["name"]
        if name == "user.home":
            return str(Path.home())
        return os.environ.get(name.removeprefix("env."), "") if name.startswith("env.") else match.group()

    return _VARIABLE.sub(value_of, value)
