"""Frozen dataclasses from plain dictionaries (JSON, TOML), with errors that name the field."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ds2edge.runtime.errors import InputError

Record = TypeVar("Record")


def from_dict(cls: type[Record], values: Mapping[str, Any], where: str) -> Record:
    """Builds the dataclass `cls` from `values`, checking names and types all the way down.

    A field that was renamed says so, `field(metadata={"formerly": "old name"})`, and is read by either name.

    `where` opens every message (a file name, say). Raises InputError for an unknown or a missing field and for a value
    of another type; a whole number is accepted where a float is wanted, a list where a tuple is.
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
    missing = [
        name
        for name, field in fields.items()
        if name not in values
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise InputError(f"{where}: '{missing[0]}' is missing")
    try:
        return cls(
            **{
                name: _convert(hints[name], value, f"{where}: {name}")
                for name, value in values.items()
            }
        )
    except InputError:
        raise
    except (
        ValueError
    ) as error:  # raised by a __post_init__, which knows the fields but not where they came from
        raise InputError(f"{where}: {error}") from None


def _convert(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, where)  # type: ignore[arg-type]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{where}: expected a list, got {value!r}")
        if arguments[-1] is Ellipsis:
            return tuple(_convert(arguments[0], item, where) for item in value)
        if len(value) != len(arguments):
            raise InputError(f"{where}: expected {len(arguments)} values, got {len(value)}")
        return tuple(_convert(a, item, where) for a, item in zip(arguments, value, strict=True))
    if origin is dict:
        return dict(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise InputError(f"{where}: expected {hint.__name__}, got {value!r}")
    return value
