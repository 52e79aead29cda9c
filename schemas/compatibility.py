"""What a change of the contract would break for those who send events by the last released one.

Compatible means: every event that was valid still is, and still means the same. The rules below know the parts of JSON
Schema that our models produce; a keyword they do not know must stay as it was.
"""

from collections.abc import Iterator
from typing import Any, Final

Schema = dict[str, Any]

_LOWER_BOUNDS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_WORDS_ONLY: Final = frozenset(("$schema", "$id", "$comment", "title", "description", "examples", "$defs"))
_HANDLED: Final = frozenset(
    ("type", "enum", "const", "required", "properties", "items", "anyOf", "default", "$ref", "additionalProperties")
)


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Each change that breaks senders, as `path: reason`; empty when there is none."""
    return list(_compare(old, new, old, new, "$"))


def _compare(old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str) -> Iterator[str]:
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    if "anyOf" in old or "anyOf" in new:
        yield from _alternatives(old, new, old_root, new_root, path)
        old, new = _without_alternatives(old), _without_alternatives(new)
    if "type" in new and not _types(old) <= _types(new):
        gone = sorted(_types(old) - _types(new)) or ["anything"]
        yield f"{path}: {' and '.join(gone)} was accepted, now it must be {' or '.join(sorted(_types(new)))}"
    yield from _words(old, new, path)
    yield from _limits(old, new, path)
    yield from _properties(old, new, old_root, new_root, path)
    if "items" in new:
        yield from _compare(old.get("items", {}), new["items"], old_root, new_root, f"{path}[]")
    if "default" in old and old["default"] != new.get("default"):
        yield f"{path}: the default was {old['default']!r} and is {new.get('default')!r}: absent fields change meaning"
    for keyword in sorted(old.keys() | new.keys()):
        if keyword in _WORDS_ONLY | _HANDLED or keyword in _LOWER_BOUNDS + _UPPER_BOUNDS:
            continue
        if keyword in new and old.get(keyword) != new[keyword]:
            yield f"{path}: {keyword} was {old.get(keyword)!r} and is {new[keyword]!r}"


def _words(old: Schema, new: Schema, path: str) -> Iterator[str]:
    allowed = _allowed(new)
    if allowed is None:
        return
    before = _allowed(old)
    if before is None:
        yield f"{path}: any value was accepted, now only {', '.join(map(repr, allowed))}"
    elif gone := [word for word in before if word not in allowed]:
        yield f"{path}: {', '.join(map(repr, gone))} is no longer accepted"


def _limits(old: Schema, new: Schema, path: str) -> Iterator[str]:
    for keyword in _LOWER_BOUNDS:
        if keyword in new and new[keyword] > old.get(keyword, float("-inf")):
            yield f"{path}: {keyword} rose from {old.get(keyword, 'none')} to {new[keyword]}"
    for keyword in _UPPER_BOUNDS:
        if keyword in new and new[keyword] < old.get(keyword, float("inf")):
            yield f"{path}: {keyword} fell from {old.get(keyword, 'none')} to {new[keyword]}"


def _properties(old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in before:
        if name not in after:
            yield f"{path}.{name}: was removed; what senders put there is dropped in silence"
        else:
            yield from _compare(before[name], after[name], old_root, new_root, f"{path}.{name}")
    for name in new.get("required", []):
        if name not in old.get("required", []):
            known = "optional" if name in before else "unknown"
            yield f"{path}.{name}: is required now, was {known}"
    if new.get("additionalProperties", True) is False and old.get("additionalProperties", True) is not False:
        yield f"{path}: unknown fields were ignored, now they are refused"


def _alternatives(old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str) -> Iterator[str]:
    choices = [_resolved(choice, new_root) for choice in new.get("anyOf", [_without_words(new)])]
    for choice in old.get("anyOf", [_without_words(old)]):
        resolved = _resolved(choice, old_root)
        reasons = [list(_compare(resolved, other, old_root, new_root, path)) for other in choices]
        if all(reasons):
            # Of several alternatives the one of the same type explains best.
            same_type = [r for r, other in zip(reasons, choices, strict=True) if _types(other) == _types(resolved)]
            yield from (same_type or [[f"{path}: {_shown(resolved)} was accepted and no longer is"]])[0]


def _resolved(schema: Schema, root: Schema) -> Schema:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    target: Schema = root["$defs"][reference.removeprefix("#/$defs/")]
    return {**target, **{keyword: value for keyword, value in schema.items() if keyword != "$ref"}}


def _types(schema: Schema) -> set[str]:
    found = schema.get("type", ["array", "boolean", "null", "number", "object", "string"])
    types = {found} if isinstance(found, str) else set(found)
    return types | {"integer"} if "number" in types else types


def _allowed(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return list(schema["enum"]) if "enum" in schema else None


def _without_words(schema: Schema) -> Schema:
    return {keyword: value for keyword, value in schema.items() if keyword not in _WORDS_ONLY | {"default"}}


def _without_alternatives(schema: Schema) -> Schema:
    """What stands beside the alternatives; where there are none, the description and default only."""
    if "anyOf" in schema:
        return {keyword: value for keyword, value in schema.items() if keyword != "anyOf"}
    return {keyword: value for keyword, value in schema.items() if keyword in _WORDS_ONLY | {"default"}}


def _shown(schema: Schema) -> str:
    found = schema.get("type", "anything")
    return found if isinstance(found, str) else " or ".join(found)
