"""What was fed where, so that nothing is fed twice.

    {"version": 1, "clusters": {"<Kafka cluster id>": {"<sha256 of the content>":
        {"name": "messages.ndjson.gz", "records": 95005, "fed": 95005}}}}

`fed` counts a file's lines in the order of their times. Whatever files are merged, the lines of one file are sent in
that order, so a position per file is enough: the next feed may merge other files with what is left of this one. Files
are known by content, not by name; a file that has grown is a new file (its old records then are duplicates by id).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.errors import InputError

_VERSION = 1


@dataclass
class FedFile:
    """How far one file is fed."""

    name: str
    records: int
    fed: int


class FeedLedger:
    """The positions of all files that were fed, in one small file that is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._clusters: dict[str, dict[str, FedFile]] = _read(path)

    def position(self, cluster_id: str, content_hash: str) -> int:
        """How many lines of the file this cluster has, in order of time."""
        fed = self._clusters.get(cluster_id, {}).get(content_hash)
        return fed.fed if fed else 0

    def advance(self, cluster_id: str, content_hash: str, *, name: str, records: int, fed: int) -> None:
        """Note that Kafka has acknowledged the file's first `fed` lines. `save` makes it last."""
        self._clusters.setdefault(cluster_id, {})[content_hash] = FedFile(name, records, fed)

    def save(self) -> None:
        """Write it, whole or not at all; InputError when the disk refuses."""
        document = {
            "version": _VERSION,
            "clusters": {
                cluster_id: {content_hash: vars(fed) for content_hash, fed in files.items()}
                for cluster_id, files in self._clusters.items()
            },
        }
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")
            beside.replace(self.path)
        except OSError as error:
            raise InputError(f"the record of what was fed cannot be written to {self.path}: {error.strerror}") from None


def _read(path: Path) -> dict[str, dict[str, FedFile]]:
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        if document["version"] != _VERSION:
            raise InputError(f"{path} was written by a newer qunpulse (version {document['version']}); update this one")
        return {
            cluster_id: {content_hash: FedFile(**fed) for content_hash, fed in files.items()}
            for cluster_id, files in document["clusters"].items()
        }
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"the record of what was fed cannot be read from {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{path} is no record of what was fed; move it away to feed everything again (what is in Kafka already "
            "then comes twice and counts as duplicate)"
        ) from None
