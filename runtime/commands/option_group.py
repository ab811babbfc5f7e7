"""Groups options of a command into one argument."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from ds2edge.runtime.errors import InputError

Command = Callable[..., None]
Option = Callable[[Command], Command]


def option_group(argument: str, record: type[Any], *options: Option) -> Option:
    """Returns a decorator that adds click options and passes their values as one dataclass.

    `argument`: name of the command's argument. `record`: the dataclass; its fields are named as
    the options. A ValueError that it raises becomes an InputError.
    """
    names = [field.name for field in dataclasses.fields(record)]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def grouped(**values: Any) -> None:
            fields = {name: values.pop(name) for name in names}
            try:
                values[argument] = record(**fields)
            except ValueError as error:
                raise InputError(str(error)) from None
            command(**values)

        decorated: Command = grouped
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate
