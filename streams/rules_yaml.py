"""YAML read so that every value knows its line: errors in a file written by people must say where.

Only plain YAML 1.2: mappings, lists and scalars. Dates stay texts, because what a bare date means depends on the time
zone of what it stands in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from streams.errors import RulesError

KeyPath = tuple[str | int, ...]


@dataclass
class Located:
    """A YAML document as plain Python values, and the line (from 1) of each by its path."""

    source: Path
    value: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """`file:line` of the value at `path`, or of the closest thing around it."""
        for length in range(len(path), -1, -1):
            line = self.lines.get(path[:length])
            if line is not None:
                return f"{self.source}:{line}"
        return str(self.source)


def read_yaml(source: Path) -> Located:
    """The document in the file; RulesError when it cannot be read, is no YAML, or repeats a key."""
    try:
        text = source.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise RulesError(f"{source}: there is no such rules file; check the setting `rules_file`") from None
    except UnicodeDecodeError as error:
        raise RulesError(f"{source}: not UTF-8 (byte {error.start}); save the file as UTF-8") from None
    except OSError as error:
        raise RulesError(f"{source}: cannot be read: {error.strerror}") from None
    document = Located(source)
    try:
        root = YAML().compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark is not None else ""
        raise RulesError(f"{source}{line}: not valid YAML: {error.problem or error.context}") from None
    except (YAMLError, RecursionError) as error:
        raise RulesError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from None
    if root is not None:
        document.value = _plain(root, (), document, ())
    return document


def _plain(node: Node, path: KeyPath, document: Located, inside: tuple[int, ...]) -> Any:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in inside:
        raise RulesError(f"{document.where(path)}: a value that contains itself")
    inside = (*inside, id(node))
    if isinstance(node, MappingNode):
        return dict(_entries(node, path, document, inside))
    if isinstance(node, SequenceNode):
        return [_plain(entry, (*path, i), document, inside) for i, entry in enumerate(node.value)]
    return _scalar(node)


def _entries(node: MappingNode, path: KeyPath, document: Located, inside: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    seen: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, ScalarNode):
            raise RulesError(f"{document.source}:{line}: a key must be a plain text")
        # Keys are taken as written: the community 12345 is a text, whatever YAML thinks of numbers.
        key = str(key_node.value)
        if key in seen:
            raise RulesError(f"{document.source}:{line}: {key!r} stands here twice, first in line {seen[key]}")
        seen[key] = line
        document.lines[(*path, key)] = line
        yield key, _plain(value_node, (*path, key), document, inside)


def _scalar(node: Node) -> Any:
    text = str(node.value)
    kind = str(node.tag).rsplit(":", 1)[-1]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    try:
        if kind == "int":
            return int(text.replace("_", ""), 0 if text.lstrip("+-")[:2].lower() in ("0x", "0o") else 10)
        if kind == "float":
            return float(text.replace("_", ""))
    except ValueError:
        return text
    return text
