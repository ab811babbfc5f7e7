"""`ds2edge deploy`: from this machine to a board over ssh, and the proof that it hears there what is heard here."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from ds2edge.runtime.audio.reader import AudioFile
from ds2edge.runtime.commands.options import model_option
from ds2edge.runtime.errors import InputError, QualityCheckFailed
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.runtime.specification import Specification, read_specification

INSTALLER = Path(__file__).with_name(
    "raspberrypi"
)  # install.sh and the .service units that it installs
PREFIX = {
    "user": "~/.local/share/ds2edge",
    "system": "/opt/ds2edge",
}  # where install.sh puts it all
PROJECT = Path(__file__).parents[1]  # the checkout, where this file is run from one
CANNOT_CONNECT = 255  # exit code of ssh


@click.command(short_help="Install the kit and a model on a Raspberry Pi.")
@click.argument("host", metavar="[USER@]HOST")
@model_option
@click.option(
    "--clip",
    type=click.Path(path_type=Path),
    help="Sound file that must give the same text there as here.",
)
@click.option(
    "--service",
    type=click.Choice(list(PREFIX)),
    help="Listen from now on: user (PipeWire, PulseAudio, ALSA) or system (ALSA alone).",
)
@click.option(
    "--wheel",
    type=click.Path(path_type=Path),
    help="What to install; made from the checkout if not given.",
)
@click.option(
    "-o",
    "--ssh-option",
    "ssh_options",
    multiple=True,
    metavar="NAME=VALUE",
    help="As ssh's own -o, such as Port=2222. May be repeated; ~/.ssh/config holds as well.",
)
def deploy(
    host: str,
    model: Path,
    clip: Path | None,
    service: str | None,
    wheel: Path | None,
    ssh_options: tuple[str, ...],
) -> None:
    """Install the kit and MODEL on a Raspberry Pi, or another Debian machine, that ssh can log in to.

    Exit code 1 if the text of the clip differs there. To run it again is to upgrade.
    """
    specification = read_specification(model)
    if service:
        specification.require_streaming(model)
    expected = _hear(model, clip) if clip else ""
    with tempfile.TemporaryDirectory() as scratch:
        wheel = wheel or build_wheel(Path(scratch))
        if not wheel.is_file():
            raise InputError(f"{wheel}: no such wheel")
        with Board(host, ssh_options) as board:
            board.refuse_model_it_cannot_run(model, specification)
            board.send([*INSTALLER.glob("*.s*"), wheel, model, *([clip] if clip else [])])
            board.install(wheel.name, model.name, service)
            if not clip:
                click.echo(f"{host}: installed; not verified, as no --clip was given")
                return
            heard = board.transcribe(clip.name, PREFIX[service or "user"])
    click.echo(f"here:  {expected}")
    click.echo(f"there: {heard['text']}")
    click.echo(f"{host}: real-time factor {heard['real_time_factor']:.3f}, one thread")
    if heard["text"] != expected:
        raise QualityCheckFailed(
            f"{host}: hears another text than this machine: is ds2edge of the same version here?"
        )


class Board:
    """A machine behind ssh, and a folder on it that is there for the time of the context."""

    def __init__(self, host: str, ssh_options: tuple[str, ...]) -> None:
        """`host`: as ssh takes it; `ssh_options`: NAME=VALUE."""
        self.host = host
        options = [
            *ssh_options,
            "ConnectTimeout=20",
            "LogLevel=ERROR",
        ]  # of two values, ssh takes the first
        self._options = [word for option in options for word in ("-o", option)]
        self._folder = self._architecture = ""

    def __enter__(self) -> Board:
        """InputError if ssh cannot log in."""
        prepare = 'folder=$(mktemp -d) && echo "$folder $(dpkg --print-architecture)"'
        answer = self._ssh(prepare, "cannot be prepared")
        self._folder, _, self._architecture = answer.splitlines()[-1].partition(" ")
        return self

    def __exit__(self, *raised: object) -> None:
        self._call("ssh", self.host, shlex.join(["rm", "-rf", self._folder]))

    def refuse_model_it_cannot_run(self, model: Path, specification: Specification) -> None:
        """InputError for a model whose dense weights, quantized per channel, crash the 32-bit interpreter."""
        if (
            self._architecture == "armhf"
            and specification.graph
            and specification.graph.mode == "int8"
        ):
            raise InputError(
                f"{model}: {self.host} has a 32-bit system, whose interpreter needs the model made by "
                "`ds2edge convert --mode armv7`"
            )

    def send(self, files: list[Path]) -> None:
        """Copies files into the folder. InputError if that fails."""
        # Full paths: scp takes what stands before a colon for a host.
        done = self._call(
            "scp", *(str(file.resolve()) for file in files), f"{self.host}:{self._folder}/"
        )
        if done.returncode:
            raise InputError(
                f"{self.host}: files cannot be copied there ({_last_line(done.stderr)})"
            )

    def install(self, wheel: str, model: str, service: str | None) -> None:
        """Runs install.sh and shows what it says; InputError, with its last line, if it ends with an error."""
        words = [
            "sh",
            self._path("install.sh"),
            "--wheel",
            self._path(wheel),
            "--model",
            self._path(model),
        ]
        words += ["--service", service] if service else []
        terminal = ["-t"] if sys.stdin.isatty() else []  # where sudo may ask for the password
        command = ["ssh", *terminal, *self._options, self.host, shlex.join(words) + " 2>&1"]
        said = b""
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            # Not by lines: a question ends without one.
            while piece := os.read(process.stdout.fileno(), 4096):
                click.echo(piece, nl=False)
                said = (said + piece)[-2000:]
        if process.returncode == CANNOT_CONNECT:
            raise InputError(
                f"{self.host}: not installed: the connection broke off; run this again"
            )
        if process.returncode:
            raise InputError(
                f"{self.host}: not installed: {_last_line(said.decode(errors='replace'))}"
            )

    def transcribe(self, clip: str, prefix: str) -> dict[str, str | float]:
        """What `ds2edge transcribe --json` prints there. InputError if it fails."""
        clip_there = shlex.quote(self._path(clip))
        command = f"{prefix}/venv/bin/ds2edge transcribe --json --model {prefix}/model.tflite {clip_there}"
        facts: dict[str, str | float] = json.loads(self._ssh(command, "cannot transcribe the clip"))
        return facts

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _ssh(self, command: str, problem: str) -> str:
        done = self._call("ssh", self.host, command)
        reason = _last_line(done.stderr)
        if done.returncode == CANNOT_CONNECT:
            raise InputError(
                f"{self.host}: cannot log in ({reason}): make `ssh {self.host}` work first"
            )
        if done.returncode:
            raise InputError(f"{self.host}: {problem} ({reason})")
        return done.stdout

    def _call(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [program, *self._options, *words]
        try:
            return subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            raise InputError(
                f"there is no program {program}: apt-get install openssh-client"
            ) from None


def build_wheel(folder: Path) -> Path:
    """The wheel of the checkout that this file is part of, in `folder`. InputError if it is part of none."""
    if not (PROJECT / "pyproject.toml").is_file():
        raise InputError(
            "--wheel is needed where ds2edge does not run from a checkout: the file it was installed from"
        )
    settings = folder / "setup.cfg"
    settings.write_text(
        f"[build]\nbuild_base = {folder / 'build'}\n"
    )  # what an earlier build left stays out
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "-w",
        str(folder),
        str(PROJECT),
    ]
    environment = {**os.environ, "DIST_EXTRA_CONFIG": str(settings)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"the wheel cannot be built ({_last_line(done.stderr)}): give --wheel")
    return next(folder.glob("*.whl"))


def _hear(model: Path, clip: Path) -> str:
    text = Recognizer(model).transcribe(AudioFile(clip)).text
    if not text:
        raise InputError(
            f"{clip}: {model} hears nothing in it, which would prove nothing: give a clip with speech"
        )
    return text


def _last_line(text: str) -> str:
    lines = [line.strip().removeprefix("error: ") for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it does not say why"
