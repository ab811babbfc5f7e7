"""Builds frozen dataclasses from plain dictionaries (JSON, TOML); errors name the field."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ds2edge.runtime.errors import InputError

Record = TypeVar("Record")


def from_dict(cls: type[Record], values: Mapping[str, Any], where: str) -> Record:
    """Builds the dataclass `cls` from `values`; checks names and types at every level.

    A whole number is accepted for a float, and a list for a tuple. A field that was renamed can
    also be read by its old name: `field(metadata={"formerly": "old name"})`.

    Raises InputError for an unknown field, a missing field and a value of the wrong type. Every
    message begins with `where`, such as a file name.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: expected a table of {cls.__name__}, got {values!r}")
    hints = get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    renamed = {field.metadata.get("formerly"): name for name, field in fields.items()}
    values = {renamed.get(name, name): value for name, value in values.items()}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise InputError(f"{where}: unknown setting '{unknown[0]}' (known: {', '.join(fields)})")
    missing = [name for name, field in fields.items() if name not in values and _required(field)]
    if missing:
        raise InputError(f"{where}: '{missing[0]}' is missing")
    converted = {
        name: _convert(hints[name], value, f"{where}: {name}") for name, value in values.items()
    }
    try:
        return cls(**converted)
    except InputError:
        raise
    except ValueError as error:  # from a __post_init__, which does not know the file
        raise InputError(f"{where}: {error}") from None


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _convert(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, where)  # type: ignore[arg-type]
    origin = get_origin(hint)
    arguments = get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, where)
    if origin is tuple:
        return _convert_tuple(arguments, value, where)
    if origin is dict:
        return dict(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise InputError(f"{where}: expected {hint.__name__}, got {value!r}")
    return value


def _convert_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise InputError(f"{where}: expected a list, got {value!r}")
    if arguments[-1] is Ellipsis:
        return tuple(_convert(arguments[0], item, where) for item in value)
    if len(value) != len(arguments):
        raise InputError(f"{where}: expected {len(arguments)} values, got {len(value)}")
    return tuple(_convert(a, item, where) for a, item in zip(arguments, value, strict=True))
