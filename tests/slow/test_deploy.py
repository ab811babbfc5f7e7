"""`ds2edge deploy` to this machine: a real sshd and a real installation, in a temporary home."""

import os
import re
import shutil
import socket
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
import soundfile
from support import GOLDEN, RATE, SPOKEN

from ds2edge.devices.deploy import build_wheel

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin")
INSTALLER = Path("devices/raspberrypi/install.sh")
TEXT, CLIP = next(iter(SPOKEN.items()))

# The board's own programs come first on its PATH. This systemctl knows only user services.
SYSTEMCTL = """#!/bin/sh
echo "$*" >>"$HOME/systemctl"
test "$1" = --user
"""

CHANGE = b"""

import dataclasses
_transcribe = Recognizer.transcribe
Recognizer.transcribe = lambda *a, **k: dataclasses.replace(_transcribe(*a, **k), text='what else')
"""


def missing() -> str:
    """Why this machine cannot act as a board; "" if it can."""
    if not SSHD:
        return "sshd is not installed (openssh-server)"
    for program in ("ssh", "scp", "ssh-keygen"):
        if not shutil.which(program):
            return f"{program} is not installed (openssh-client)"
    # The wheel can be any file, since nothing is installed.
    check = subprocess.run(
        ["sh", INSTALLER, "--check", "--wheel", INSTALLER],
        capture_output=True,
        text=True,
        check=False,
    )
    if check.returncode:
        return f"this machine would be refused: {check.stderr.strip()}"
    if "packages to add: none" not in check.stdout:
        return "Debian packages are missing: " + check.stdout.split("to add: ")[1].splitlines()[0]
    return ""


def make_key(path: Path) -> None:
    """Writes a new key without a passphrase."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path]
    subprocess.run(command, check=True)


pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]


class SshBoard:
    """An sshd of this user with a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.programs = folder / "programs"
        self.temporary = folder / "temporary"
        for path in (self.home, self.programs, self.temporary):
            path.mkdir()
        for name in ("host", "user"):
            make_key(folder / name)
        self.put_program("systemctl", SYSTEMCTL)
        self.put_program("loginctl", "#!/bin/sh\n")
        self.environment = {
            # pip on the board must find its index as it does here.
            **{k: v for k, v in os.environ.items() if k.startswith("PIP_") or "proxy" in k.lower()},
            "HOME": str(self.home),
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "TMPDIR": str(self.temporary),
        }
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.key = f"IdentityFile={folder / 'user'}"
        self.options = [f"Port={port}", "IdentitiesOnly=yes", "StrictHostKeyChecking=accept-new"]
        self.options += [f"UserKnownHostsFile={folder / 'known'}"]
        self._start_sshd(folder, port)

    def _start_sshd(self, folder: Path, port: int) -> None:
        settings = {
            "ListenAddress": f"127.0.0.1:{port}",
            "HostKey": folder / "host",
            "PidFile": "none",
            "AuthorizedKeysFile": folder / "user.pub",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "yes",
            "SetEnv": " ".join(f'"{name}={value}"' for name, value in self.environment.items()),
            "Subsystem": "sftp internal-sftp",
        }
        configuration = folder / "sshd_config"
        configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        if os.geteuid() == 0:
            # The sshd of root needs this folder, which its service would make.
            Path("/run/sshd").mkdir(exist_ok=True)
        command = [SSHD, "-D", "-f", configuration, "-E", folder / "sshd.log"]
        self._sshd = subprocess.Popen(command)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.1)
        raise RuntimeError((folder / "sshd.log").read_text())

    def put_program(self, name: str, script: str) -> Path:
        path = self.programs / name
        path.write_text(script)
        path.chmod(0o755)
        return path

    def close(self) -> None:
        self._sshd.terminate()
        self._sshd.wait()


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    board = SshBoard(tmp_path_factory.mktemp("board"))
    yield board
    board.close()


@pytest.fixture(scope="module")
def deploy(board, ds2edge):
    """Runs the command against the board."""

    def run(
        *words: object, options: tuple[str, ...] = (), own_key: bool = True, host: str = "127.0.0.1"
    ) -> subprocess.CompletedProcess[str]:
        options = (*options, *board.options, *([board.key] if own_key else []))
        chosen = [word for option in options for word in ("--ssh-option", option)]
        return ds2edge("deploy", host, "--model", GOLDEN, *chosen, *words, stdin=subprocess.DEVNULL)

    return run


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def changed_wheel(wheel, tmp_path_factory):
    """A wheel of the same version that gives another text."""
    path = tmp_path_factory.mktemp("changed") / wheel.name
    with (
        zipfile.ZipFile(wheel) as original,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as changed,
    ):
        for member in original.infolist():
            content = original.read(member)
            if member.filename == "ds2edge/runtime/recognizer.py":
                content += CHANGE
            changed.writestr(member, content)
    return path


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that is printed for bad input."""
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines)) == (2, 1), (done.stdout, done.stderr)
    return lines[0]


def test_install_and_check_then_find_a_changed_program_then_upgrade_then_uninstall(
    deploy, board, changed_wheel
):
    done = deploy("--clip", CLIP, "--service", "user")
    assert done.returncode == 0, (done.stdout, done.stderr)
    here, there, speed = done.stdout.splitlines()[-3:]
    assert (here, there) == (f"here:  {TEXT}", f"there: {TEXT}")
    assert re.fullmatch(r"127\.0\.0\.1: real-time factor 0\.\d+, one thread", speed)
    prefix = board.home / ".local/share/ds2edge"
    assert (prefix / "model.tflite").read_bytes() == GOLDEN.read_bytes()
    unit = (board.home / ".config/systemd/user/ds2edge.service").read_text()
    assert (
        f"ExecStart={prefix}/venv/bin/ds2edge listen --wait --model {prefix}/model.tflite" in unit
    )
    assert "--user restart ds2edge" in (board.home / "systemctl").read_text()

    done = deploy("--clip", CLIP, "--wheel", changed_wheel)
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert f"here:  {TEXT}\nthere: what else\n" in done.stdout
    assert done.stderr.startswith("error: 127.0.0.1: transcribes the clip differently")

    done = deploy("--clip", CLIP)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert not any(board.temporary.iterdir())

    done = subprocess.run(
        ["sh", prefix / "install.sh", "--uninstall"], env=board.environment, check=True
    )
    assert [path for path in board.home.rglob("*") if not path.is_dir()] == [
        board.home / "systemctl"
    ]


def test_a_board_that_cannot_be_reached_is_one_line(deploy, wheel, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    says = error_of(deploy("--wheel", wheel, options=(f"Port={port}",)))
    assert says.startswith("error: 127.0.0.1: cannot log in (")
    assert says.endswith("Connection refused): make `ssh 127.0.0.1` work first")
    assert "cannot log in (ssh: Could not resolve" in error_of(
        deploy("--wheel", wheel, host="nowhere.invalid")
    )


def test_a_key_that_is_refused_is_one_line(deploy, wheel, tmp_path):
    make_key(tmp_path / "other")
    says = error_of(
        deploy("--wheel", wheel, options=(f"IdentityFile={tmp_path / 'other'}",), own_key=False)
    )
    assert "cannot log in (" in says
    assert "Permission denied (publickey)" in says


@pytest.mark.parametrize("option", ["--model", "--clip", "--wheel"])
def test_a_missing_file_is_named_before_anything_is_sent(deploy, board, wheel, option):
    said = error_of(deploy("--wheel", wheel, option, "none/there"))
    assert said.startswith("error: none/there: no such ")
    assert not any(board.temporary.iterdir())


def test_a_clip_without_speech_is_refused(deploy, wheel, tmp_path):
    soundfile.write(tmp_path / "silence.wav", [0.0] * RATE, RATE)
    assert "nothing was recognised in the clip" in error_of(
        deploy("--wheel", wheel, "--clip", tmp_path / "silence.wav")
    )


def test_a_refusal_of_the_installer_is_shown_and_leaves_the_board_clean(deploy, board, wheel):
    done = deploy("--wheel", wheel, "--service", "system")
    assert done.returncode == 2
    refusal = "127.0.0.1: not installed: no answer from systemctl --system"
    assert done.stderr.startswith(f"error: {refusal}")
    assert not any(board.temporary.iterdir())


def test_a_32_bit_board_does_not_get_a_model_that_it_cannot_run(deploy, board, wheel):
    fake = board.put_program("dpkg", "#!/bin/sh\necho armhf\n")
    try:
        assert "`ds2edge convert --mode armv7`" in error_of(deploy("--wheel", wheel))
    finally:
        fake.unlink()
    assert not any(board.temporary.iterdir())


def test_the_board_refuses_a_file_that_is_not_a_wheel(deploy, tmp_path):
    wheel = tmp_path / "deepspeech2_edge-9.9.9-py3-none-any.whl"
    wheel.write_text("not a wheel")
    done = deploy("--wheel", wheel)
    assert done.returncode == 2
    assert "127.0.0.1: not installed: pip could not install" in done.stderr
