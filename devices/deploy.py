"""`ds2edge deploy`: installs the kit and a model on a board over ssh and checks the result."""

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
from ds2edge.runtime.network import UNSUPPORTED_ON_ARMV7
from ds2edge.runtime.phrases.phrases import SUFFIX, Phrases
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.runtime.specification import Specification, read_specification

# Folder of install.sh and the systemd units.
INSTALLER = Path(__file__).with_name("raspberrypi")
# Where install.sh puts everything, by kind of service.
PREFIX = {"user": "~/.local/share/ds2edge", "system": "/opt/ds2edge", "serve": "/opt/ds2edge"}
# The checkout, if this file is run from one.
PROJECT = Path(__file__).parents[1]
CANNOT_CONNECT = 255  # exit code of ssh


@click.command()
@click.argument("host", metavar="[USER@]HOST")
@model_option
@click.option(
    "--clip",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Sound file with speech. The board must transcribe it as this machine does.",
)
@click.option(
    "--service",
    type=click.Choice(list(PREFIX)),
    help="Start a service. Two listen: user (PipeWire, PulseAudio or ALSA) and system (ALSA). "
    "The kind serve transcribes for other programs, such as Home Assistant.",
)
@click.option(
    "--phrases",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="All that may be said, for --service serve: templates, a text file, or a .ds2ph file.",
)
@click.option(
    "--wheel",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Wheel to install.  [default: built from the checkout]",
)
@click.option(
    "--ssh-option",
    "ssh_options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Option for ssh, such as Port=2222. Repeat it for several options.",
)
def deploy(
    host: str,
    model: Path,
    clip: Path | None,
    service: str | None,
    phrases: Path | None,
    wheel: Path | None,
    ssh_options: tuple[str, ...],
) -> None:
    """Install the kit and a model on a board over ssh.

    HOST is a Raspberry Pi or another Debian machine that ssh can log in to. Run the command again
    to upgrade. The exit code is 1 if the board transcribes the clip differently.
    """
    specification = read_specification(model)
    if service:
        specification.require_streaming(model)
    if phrases and service != "serve":
        raise InputError(
            "--phrases needs --service serve: for another service, compile them into the model"
        )
    expected = _transcribe_here(model, clip) if clip else ""
    with tempfile.TemporaryDirectory() as scratch:
        wheel = wheel or build_wheel(Path(scratch))
        if not wheel.is_file():
            raise InputError(f"{wheel}: no such wheel: omit --wheel to build one from the checkout")
        files = {"--wheel": wheel, "--model": model}
        if phrases:
            files["--phrases"] = _compile(phrases, specification, Path(scratch))
        with Board(host, ssh_options) as board:
            board.require_runnable(model, specification)
            # install.sh and the *.service files.
            board.send([*INSTALLER.glob("*.s*"), *files.values(), *([clip] if clip else [])])
            board.install(files, service)
            if not clip:
                click.echo(f"{host}: installed; not checked, because no --clip was given")
                return
            result = board.transcribe(clip.name, PREFIX[service or "user"])
    click.echo(f"here:  {expected}")
    click.echo(f"there: {result['text']}")
    click.echo(f"{host}: real-time factor {result['real_time_factor']:.3f}, one thread")
    if result["text"] != expected:
        raise QualityCheckFailed(
            f"{host}: transcribes the clip differently from this machine: "
            "is the same version of ds2edge installed here?"
        )


class Board:
    """A machine behind ssh, with a temporary folder that exists as long as the context."""

    def __init__(self, host: str, ssh_options: tuple[str, ...]) -> None:
        """`host` is a name as ssh takes it, `ssh_options` are NAME=VALUE."""
        self.host = host
        # ssh uses the first of two values, so the user's options come first.
        options = [*ssh_options, "ConnectTimeout=20", "LogLevel=ERROR"]
        self._options = [word for option in options for word in ("-o", option)]
        self._folder = ""
        self._architecture = ""

    def __enter__(self) -> Board:
        """InputError if ssh cannot log in."""
        prepare = 'folder=$(mktemp -d) && echo "$folder $(dpkg --print-architecture)"'
        answer = self._ssh(prepare, "cannot be prepared")
        self._folder, _, self._architecture = answer.splitlines()[-1].partition(" ")
        return self

    def __exit__(self, *raised: object) -> None:
        self._call("ssh", self.host, shlex.join(["rm", "-rf", self._folder]))

    def require_runnable(self, model: Path, specification: Specification) -> None:
        """InputError for a model that the interpreter of a 32-bit board cannot run."""
        graph = specification.graph
        if self._architecture == "armhf" and graph and graph.mode in UNSUPPORTED_ON_ARMV7:
            raise InputError(
                f"{model}: {self.host} has a 32-bit system, which cannot run mode {graph.mode}: "
                "make the model with `ds2edge convert --mode armv7`"
            )

    def send(self, files: list[Path]) -> None:
        """Copies files into the folder. InputError if that fails."""
        # scp takes what stands before a colon for a host, unless the path is absolute.
        paths = [str(file.resolve()) for file in files]
        done = self._call("scp", *paths, f"{self.host}:{self._folder}/")
        if done.returncode:
            raise InputError(
                f"{self.host}: files cannot be copied there ({_last_line(done.stderr)})"
            )

    def install(self, files: dict[str, Path], service: str | None) -> None:
        """Runs install.sh and shows its output. InputError with its last line if it fails.

        `files`: the options of install.sh, and the file that was sent for each.
        """
        words = ["sh", self._path("install.sh")]
        for option, file in files.items():
            words += [option, self._path(file.name)]
        words += ["--service", service] if service else []
        # With a terminal, sudo can ask for the password.
        terminal = ["-t"] if sys.stdin.isatty() else []
        command = ["ssh", *terminal, *self._options, self.host, shlex.join(words) + " 2>&1"]
        exit_code, output = _run_and_show(command)
        if exit_code == CANNOT_CONNECT:
            raise InputError(
                f"{self.host}: not installed: the connection broke off; run this again"
            )
        if exit_code:
            raise InputError(f"{self.host}: not installed: {_last_line(output)}")

    def transcribe(self, clip: str, prefix: str) -> dict[str, str | float]:
        """The JSON that `ds2edge transcribe` prints on the board. InputError if it fails."""
        program = f"{prefix}/venv/bin/ds2edge transcribe --json --model {prefix}/model.tflite"
        command = f"{program} {shlex.quote(self._path(clip))}"
        result: dict[str, str | float] = json.loads(
            self._ssh(command, "cannot transcribe the clip")
        )
        return result

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
                f"the program {program} is missing: apt-get install openssh-client"
            ) from None


def build_wheel(folder: Path) -> Path:
    """Builds the wheel of this checkout in `folder`. InputError if there is no checkout."""
    if not (PROJECT / "pyproject.toml").is_file():
        raise InputError("ds2edge does not run from a checkout: give the wheel with --wheel FILE")
    # A build folder of its own keeps out what an earlier build left behind.
    settings = folder / "setup.cfg"
    settings.write_text(f"[build]\nbuild_base = {folder / 'build'}\n")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["-w", str(folder), str(PROJECT)]
    environment = {**os.environ, "DIST_EXTRA_CONFIG": str(settings)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"the wheel cannot be built ({_last_line(done.stderr)}): give --wheel")
    return next(folder.glob("*.whl"))


def _compile(phrases: Path, specification: Specification, folder: Path) -> Path:
    """The phrases as a .ds2ph file in `folder`. InputError if the model cannot spell them."""
    loaded = Phrases.load(phrases)
    loaded(specification.alphabet, specification.step_seconds)
    path = folder / f"phrases{SUFFIX}"
    loaded.save(path)
    return path


def _transcribe_here(model: Path, clip: Path) -> str:
    text = Recognizer(model).transcribe(AudioFile(clip)).text
    if not text:
        raise InputError(f"{clip}: nothing was recognised in the clip: use another one")
    return text


def _run_and_show(command: list[str]) -> tuple[int, str]:
    """Runs a command and shows its output as it comes. Returns exit code and last output."""
    output = b""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        # Not line by line: the prompt of sudo has no line end.
        while piece := os.read(process.stdout.fileno(), 4096):
            click.echo(piece, nl=False)
            output = (output + piece)[-2000:]
    return process.returncode, output.decode(errors="replace")


def _last_line(text: str) -> str:
    lines = [line.strip().removeprefix("error: ") for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason was given"
