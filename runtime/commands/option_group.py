"""Groups options of a command into one argument."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ds2edge.runtime.errors import InputError

Command = Callable[..., None]
Option = Callable[[Command], Command]


def option_group(argument: str, make: Callable[..., object], *options: Option) -> Option:
    """Returns a decorator that adds click options and passes one object made of their values.

    `argument`: name of the command's argument. `make`: a dataclass or function whose parameters
    are named as the options. A parameter that the command has too goes to both. A ValueError that
    `make` raises becomes an InputError.
    """
    names = list(inspect.signature(make).parameters)

    def decorate(command: Command) -> Command:
        shared = inspect.signature(command).parameters

        @functools.wraps(command)
        def grouped(*arguments: Any, **values: Any) -> None:
            group = {name: values[name] for name in names}
            values = {name: values[name] for name in values if name in shared or name not in names}
            try:
                values[argument] = make(**group)
            except ValueError as error:
                raise InputError(str(error)) from None
            command(*arguments, **values)

        decorated: Command = grouped
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate
