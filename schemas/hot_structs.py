"""msgspec structs for the hot path, derived from the pydantic models so that the two cannot drift apart.

Two rules of the models are not in the structs: times stay texts (they are parsed in columns) and the ban of NUL (the
codec screens whole chunks for it).
"""

import types
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import BaseModel, BeforeValidator, WithJsonSchema
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from schemas.events import MODELS, NO_NUL, OrderItem
from schemas.vocabulary import EventType


def struct_of(model: type[BaseModel]) -> type[msgspec.Struct]:
    """A struct with the fields, types, limits and defaults of `model`, in the same order."""
    fields: list[Any] = []
    for name, field in model.model_fields.items():
        hot_type = _hot_type(field.annotation, list(field.metadata))
        if field.default is PydanticUndefined:
            fields.append((name, hot_type))
        else:
            fields.append((name, hot_type, field.default))
    # gc=False: these objects live for one batch and hold no cycles; tracking them would make every collection slower.
    # kw_only: required fields may follow optional ones, as they do in the models.
    return msgspec.defstruct(f"Hot{model.__name__}", fields, gc=False, kw_only=True)


def _hot_type(annotation: Any, metadata: list[Any]) -> Any:
    if any(isinstance(entry, BeforeValidator) for entry in metadata):
        return str  # a time
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *extra = get_args(annotation)
        return _hot_type(inner, metadata + [part for entry in extra for part in _parts(entry)])
    if origin in (Union, types.UnionType):
        (inner,) = [choice for choice in get_args(annotation) if choice is not types.NoneType]
        return _hot_type(inner, metadata) | None
    if origin is Literal or annotation in (bool, float):
        return annotation
    if origin is list:
        (entry_type,) = get_args(annotation)
        return _limited(list[_hot_type(entry_type, [])], metadata)  # type: ignore[misc]
    if annotation in (str, int):
        return _limited(annotation, metadata)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return ITEM if annotation is OrderItem else struct_of(annotation)
    raise TypeError(f"no hot type is known for {annotation!r}: add it to schemas/hot_structs.py")


def _parts(entry: Any) -> list[Any]:
    return list(entry.metadata) if isinstance(entry, FieldInfo) else [entry]


def _limited(hot_type: Any, metadata: list[Any]) -> Any:
    limits: dict[str, Any] = {}
    for entry in metadata:
        match entry:
            case MinLen(minimum):
                limits["min_length"] = minimum
            case MaxLen(maximum):
                limits["max_length"] = maximum
            case Ge(minimum):
                limits["ge"] = minimum
            case Le(maximum):
                limits["le"] = maximum
            case WithJsonSchema():
                pass  # says nothing that the other entries do not
            case _ if isinstance(getattr(entry, "pattern", None), str):
                if entry.pattern != NO_NUL:
                    limits["pattern"] = entry.pattern
            case _:
                raise TypeError(f"no hot limit is known for {entry!r}: add it to schemas/hot_structs.py")
    return Annotated[hot_type, msgspec.Meta(**limits)] if limits else hot_type


ITEM: Final = struct_of(OrderItem)
STRUCTS: Final[dict[EventType, type[msgspec.Struct]]] = {
    event_type: struct_of(model) for event_type, model in MODELS.items()
}
DECODE: Final[dict[EventType, Callable[[bytes], msgspec.Struct]]] = {
    event_type: msgspec.json.Decoder(struct).decode for event_type, struct in STRUCTS.items()
}
