"""The `ds2edge` command: loads its subcommands on demand and turns errors into one line."""

from __future__ import annotations

import errno
import io
import logging
import sys
from importlib.metadata import entry_points, version
from typing import Any

import click

from ds2edge.runtime.errors import InputError, QualityCheckFailed, one_line
from ds2edge.runtime.quiet import quiet_process

COMMANDS = "ds2edge.commands"  # entry-point group, see pyproject.toml
# In the order of a first use. Other commands follow in alphabetical order.
ORDER = (
    "transcribe",
    "listen",
    "serve",
    "doctor",
    "info",
    "data",
    "synthesise",
    "train",
    "average",
    "evaluate",
    "convert",
    "parity",
    "specialise",
    "lm",
    "phrases",
    "bench",
    "deploy",
    "android",
    "web",
)
CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
# Modules of the extra `train`.
TRAIN_MODULES = {
    *("tensorflow", "keras", "jiwer", "num2words", "rich", "requests", "joblib", "tensorboardX"),
    *("matplotlib", "jinja2", "scipy", "pyroomacoustics"),
}


class OneLineErrors(click.Command):
    """A command whose errors are one line and an exit code, where a user can mend them."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command. See the class."""
        try:
            return super().invoke(ctx)
        except InputError as error:
            raise _Failure(str(error), 2) from error
        except QualityCheckFailed as error:
            raise _Failure(str(error), 1) from error
        except ModuleNotFoundError as error:
            if error.name is None or error.name.split(".")[0] not in TRAIN_MODULES:
                raise
            message = (
                f"this command needs {error.name}, which is not installed: "
                "run pip install '.[train]' in the checkout of ds2edge"
            )
            raise _Failure(message, 2) from error
        except OSError as error:
            if error.errno not in CANNOT_WRITE:
                raise
            where = f"{error.filename}: " if error.filename else ""
            message = f"{where}{error.strerror}: make room, or write to another place"
            raise _Failure(message, 2) from None
        except KeyboardInterrupt:
            raise _Failure("interrupted", 130) from None


class Commands(OneLineErrors, click.Group):
    """A group that imports a command only when it is asked for.

    The modules of the commands import tensorflow inside functions, so help is quick.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the installed commands, in the order of `ORDER`."""
        names = {entry.name for entry in entry_points(group=COMMANDS)}
        return [name for name in ORDER if name in names] + sorted(names - set(ORDER))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command of that name; None if there is none."""
        for entry in entry_points(group=COMMANDS, name=cmd_name):
            command: click.Command = entry.load()
            return command
        return None


class _Failure(SystemExit):
    def __init__(self, message: str, exit_code: int) -> None:
        click.echo(f"error: {one_line(message)}", err=True)
        super().__init__(exit_code)


class _LogLines(logging.Handler):
    """Prints each log record as one line on standard error, such as `warning: ...`."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        if sys.stderr.isatty():
            prefix = "\r\x1b[K" + prefix  # clear the line that `listen` may have drawn
        click.echo(prefix + one_line(record.getMessage()), err=True)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("deepspeech2-edge"), prog_name="ds2edge")
def main() -> None:
    """Speech recognition for small devices.

    Train DeepSpeech2 in Keras, convert it to int8 LiteRT, and transcribe on a Raspberry Pi or a
    phone.
    """
    quiet_process()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Terminals may not be UTF-8, and file names may not be text in any encoding.
            stream.reconfigure(errors="backslashreplace")
    log = logging.getLogger("ds2edge")
    log.setLevel(logging.INFO)
    log.handlers = [_LogLines()]
    log.propagate = False


if __name__ == "__main__":
    sys.exit(main())
