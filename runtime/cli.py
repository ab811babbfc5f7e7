"""The `ds2edge` command: finds its subcommands among the installed entry points and turns errors into one line."""

from __future__ import annotations

import errno
import io
import logging
import sys
from importlib.metadata import entry_points, version
from typing import Any

import click

from ds2edge.runtime.errors import InputError, QualityCheckFailed, one_line

COMMANDS = "ds2edge.commands"  # entry-point group, see pyproject.toml
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
# Modules that the base install lacks.
TRAIN_EXTRA = {
    *("tensorflow", "keras", "jiwer", "num2words", "rich", "requests", "joblib", "tensorboardX"),
    *("matplotlib", "jinja2", "scipy", "pyroomacoustics"),
}


class Commands(click.Group):
    """A group whose commands are imported when they are asked for. Their modules keep tensorflow inside functions."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of a first use: train, convert, compare, run."""
        order = [
            "data",
            "train",
            "evaluate",
            "convert",
            "parity",
            "info",
            "lm",
            "transcribe",
            "listen",
            "doctor",
            "bench",
            "deploy",
        ]
        names = {entry.name for entry in entry_points(group=COMMANDS)}
        return [name for name in order if name in names] + sorted(names - set(order))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        for entry in entry_points(group=COMMANDS, name=cmd_name):
            command: click.Command = entry.load()
            return command
        return None

    def invoke(self, ctx: click.Context) -> Any:
        """Runs it. The kit's own errors, and a train extra that is not installed, become one line."""
        try:
            return super().invoke(ctx)
        except InputError as error:
            raise _Failure(str(error), 2) from error
        except QualityCheckFailed as error:
            raise _Failure(str(error), 1) from error
        except ModuleNotFoundError as error:
            if error.name is None or error.name.split(".")[0] not in TRAIN_EXTRA:
                raise
            remedy = "pip install 'deepspeech2-edge[train]'"
            raise _Failure(
                f"this command needs {error.name}, which is not installed: {remedy}", 2
            ) from error
        except OSError as error:
            if error.errno not in FULL:
                raise
            where = f"{error.filename}: " if error.filename else ""
            raise _Failure(
                f"{where}{error.strerror}: make room, or write to another place", 2
            ) from None
        except KeyboardInterrupt:
            raise _Failure("interrupted", 130) from None


class _Failure(SystemExit):
    def __init__(self, message: str, exit_code: int) -> None:
        click.echo(f"error: {one_line(message)}", err=True)
        super().__init__(exit_code)


class _Lines(logging.Handler):
    """Log records as one line each on standard error: `warning: ...`."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        if sys.stderr.isatty():
            prefix = "\r\x1b[K" + prefix  # `listen` may have drawn there
        click.echo(prefix + one_line(record.getMessage()), err=True)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("deepspeech2-edge"), prog_name="ds2edge")
def main() -> None:
    """DeepSpeech2 for the edge: train in Keras, quantize to int8 LiteRT, transcribe on a Raspberry Pi or a phone."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # a terminal that is not UTF-8, a name that is not either
            stream.reconfigure(errors="backslashreplace")
    log = logging.getLogger("ds2edge")
    log.setLevel(logging.INFO)
    log.handlers = [_Lines()]
    log.propagate = False


if __name__ == "__main__":
    sys.exit(main())
