"""install.sh on boards made of fake programs, and the systemd units that it installs."""

import os
import shutil
import subprocess

import pytest
from fake_board import FOLDER, WHEEL, FakeBoard


@pytest.fixture
def board(tmp_path):
    return lambda **facts: FakeBoard(tmp_path / "board", **facts)


ARMHF = {"architecture": "armhf", "kernel": "armv7l"}
TRIXIE = {"python": "3.13", "glibc": "2.41"}


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({}, "board: arm64, glibc 2.36, 900 MB"),
        (TRIXIE, "3.13: the system's Python, which Debian's PyAudio is built for\n"),
        ({"memory": 415}, "415 MB of memory"),  # a Zero 2 W
        ({"architecture": "amd64", "kernel": "x86_64"}, "board: amd64"),
        (ARMHF, "the only version with a 32-bit wheel of tflite-runtime"),
        ({**ARMHF, "kernel": "aarch64"}, "board: armhf"),
        ({"lacking": "python3-venv python3-pyaudio"}, "to add: python3-venv python3-pyaudio\n"),
        ({"lacking": "python3-numpy"}, "to add: none"),
        ({**ARMHF, "lacking": "python3-numpy"}, "to add: python3-numpy\n"),
    ],
)
def test_a_supported_board_is_told_what_would_be_done(board, facts, says):
    machine = board(**facts)
    done = machine.install("--check", "--model", machine.model, "--service", "user")
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    assert f"install: {WHEEL} into {machine.prefix}/venv" in done.stdout
    assert not machine.files


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({**ARMHF, "kernel": "armv6l"}, "no LiteRT interpreter exists for it; use a Zero 2 W"),
        (
            {**ARMHF, **TRIXIE},
            "Python 3.13, 32-bit: tflite-runtime needs 3.11; use a 64-bit system or Bookworm",
        ),
        ({**ARMHF, **TRIXIE, "kernel": "aarch64"}, "Python 3.13, 32-bit"),
        (
            {"python": "3.9", "glibc": "2.31"},
            "glibc 2.31: LiteRT interpreters need 2.34; use Debian 12",
        ),
        (
            {"python": "3.15", "glibc": "2.43"},
            "Python 3.15: ai-edge-litert supports 3.10 to 3.14",
        ),
        ({"python": "3.9"}, "Python 3.9: ai-edge-litert supports 3.10 to 3.14"),
        ({"architecture": "i386", "kernel": "x86_64"}, "system for i386"),
        ({"architecture": "armel", "kernel": "armv7l"}, "system for armel"),
        ({"memory": 200}, "200 MB of memory: 320 MB are needed"),
        ({"free": 300}, "300 MB free in"),
        ({"systemd": 1}, "no answer from systemctl --user"),
    ],
)
def test_an_unsupported_board_is_refused_in_one_line_and_not_changed(board, facts, says):
    machine = board(**facts)
    done = machine.install("--model", machine.model, "--service", "user")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert says in done.stderr
    assert not machine.files
    assert {call.split()[0] for call in machine.calls} <= {"python3", "systemctl"}


def test_a_system_without_dpkg_is_refused(board):
    machine = board()
    (machine.bin / "dpkg").unlink()
    done = machine.install()
    assert (done.returncode, done.stderr) == (
        2,
        "error: not a Debian system: install the wheel with pip in a venv\n",
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--model", "none.tflite"], "none.tflite: no such model"),
        (["--model"], "--model needs a value"),
        (["--wheel", "none.whl"], "none.whl: no such wheel"),
        (["--service", "user"], "--service needs --model FILE"),
        (["--service", "both"], "--service both: user, system or serve"),
        (["--phrases", "none.ds2ph"], "none.ds2ph: no such phrases"),
        (["--phrases", __file__], "--phrases needs --service serve"),
        (
            ["--phrases", __file__, "--check", "--service", "serve"],
            f"{__file__}: make a .ds2ph file",
        ),
        (["--prefix", "here"], "here: the prefix must be an absolute path"),
        (["--prefix", "/a b"], "/a b: the prefix must be an absolute path without spaces"),
        (["--frobnicate"], "--frobnicate: no such option"),
    ],
)
def test_bad_arguments_are_named_in_one_line(board, words, says):
    done = board().install(*words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {says}")
    assert len(done.stderr.splitlines()) == 1


def test_without_a_wheel_the_error_names_the_folder(board):
    machine = board()
    (machine.kit / WHEEL).unlink()
    assert f"no deepspeech2_edge-*.whl in {machine.kit}" in machine.install().stderr


def test_the_newest_of_several_wheels_is_installed(board):
    machine = board()
    for version in ("0.9.0", "0.10.0"):
        (machine.kit / f"deepspeech2_edge-{version}-py3-none-any.whl").touch()
    assert "install: deepspeech2_edge-0.10.0-py3-none-any.whl" in machine.install("--check").stdout


def test_the_variable_python_names_another_interpreter(board):
    machine = board()
    other = machine.bin / "python3.12"
    other.write_text("#!/bin/sh\necho 3.12\n")
    other.chmod(0o755)
    assert (
        f"python: {other}, 3.12: from the variable PYTHON"
        in machine.install("--check", PYTHON=other).stdout
    )
    assert "python3.99: not found" in machine.install("--check", PYTHON="python3.99").stderr


def test_an_installation_needs_no_root_when_no_package_is_missing(board):
    machine = board()
    done = machine.install("--model", machine.model)
    assert done.returncode == 0, done.stderr
    assert "ds2edge --version" in done.stdout
    assert f"ds2edge info --model {machine.model}" in done.stdout
    assert {call.split()[0] for call in machine.calls} == {"python3", "pip"}
    assert (machine.home / ".local/bin/ds2edge").resolve() == machine.prefix / "venv/bin/ds2edge"
    assert (machine.prefix / "model.tflite").read_text() == "a model"


@pytest.mark.parametrize("user", [0, 1000])
def test_only_missing_packages_are_installed(board, user):
    machine = board(user=user, lacking="python3-pyaudio")
    assert machine.install().returncode == 0
    assert [
        call
        for call in machine.calls
        if call.startswith("apt-get install") and call.endswith("s python3-pyaudio")
    ]
    assert any(call.startswith("sudo apt-get install") for call in machine.calls) == (user != 0)


@pytest.mark.parametrize(("kernel", "asked"), [("aarch64", True), ("armv7l", False)])
def test_pip_chooses_32_bit_packages_on_a_32_bit_system_under_either_kernel(board, kernel, asked):
    machine = board(architecture="armhf", kernel=kernel)
    assert machine.install().returncode == 0
    pip = [i for i, call in enumerate(machine.calls) if call.startswith("pip")]
    assert machine.calls[pip[0]].endswith("--upgrade pip>=24")
    wheels = [i for i in pip if machine.calls[i].endswith(".whl")]
    assert len(wheels) == 2
    assert [machine.calls[i - 1].startswith("setarch linux32") for i in wheels] == [asked, asked]


@pytest.mark.parametrize("soxr", [0, 1])
def test_a_32_bit_system_works_without_soxr_and_says_what_is_lost(board, soxr):
    done = board(**ARMHF, soxr=soxr).install()
    assert done.returncode == 0
    assert (
        "warning: no soxr for this board: only 16 kHz audio can be used" in done.stdout
    ) == bool(soxr)


def test_an_installation_that_fails_in_pip_says_so_and_can_be_repeated(board, tmp_path):
    machine = board(pip=1)
    done = machine.install()
    assert done.returncode == 1
    assert done.stderr.endswith("check that the board is online, then run this again\n")
    assert not (machine.home / ".local/bin/ds2edge").exists()
    again = FakeBoard(tmp_path / "again")
    shutil.copytree(machine.home, again.home, dirs_exist_ok=True)
    assert again.install().returncode == 0
    assert (again.home / ".local/bin/ds2edge").exists()


def test_the_venv_is_kept_for_the_same_python_and_replaced_for_another(board):
    machine = board()
    machine.install()
    machine.install()
    (machine.prefix / "venv/lib/python3.11").rename(machine.prefix / "venv/lib/python3.9")
    machine.install()
    assert ["--clear" in call for call in machine.calls if "-m venv" in call] == [True, False, True]


def test_the_service_is_installed_for_the_user_and_kept_by_an_upgrade(board):
    machine = board()
    done = machine.install("--model", machine.model, "--service", "user")
    assert done.returncode == 0, done.stderr
    unit = machine.unit.read_text()
    command = f"{machine.prefix}/venv/bin/ds2edge listen --wait"
    assert f"\nExecStart={command} --model {machine.prefix}/model.tflite" in unit
    assert "@PREFIX@" not in unit
    assert [call for call in machine.calls if call.startswith(("systemctl", "loginctl"))] == [
        "systemctl --user show-environment",
        "loginctl enable-linger",
        "systemctl --user daemon-reload",
        "systemctl --user enable --quiet ds2edge",
        "systemctl --user restart ds2edge",
        "systemctl --user is-active --quiet ds2edge",
    ]
    machine.unit.write_text("of an older version")
    assert machine.install().returncode == 0
    assert machine.unit.read_text() == unit
    assert machine.calls.count("systemctl --user restart ds2edge") == 2


def test_the_system_service_is_installed_by_root_away_from_home(board):
    machine = board()
    words = ["--service", "system", "--model", machine.model]
    done = machine.install(*words)
    assert done.returncode == 0, done.stderr
    assert (
        machine.calls[0]
        == f"sudo sh {machine.kit}/install.sh --service system --model {machine.model}"
    )
    unit = machine.root / "etc/systemd/system/ds2edge.service"
    assert f"\nExecStart={machine.root}/opt/ds2edge/venv/bin/ds2edge listen" in unit.read_text()
    assert not any(machine.home.iterdir())
    assert machine.install("--uninstall", "--service", "system").returncode == 0
    assert not machine.files


def test_the_service_that_serves_is_installed_with_its_packages_and_phrases(board):
    machine = board()
    phrases = machine.kit / "my.ds2ph"
    phrases.write_text("phrases")
    words = ["--service", "serve", "--model", machine.model]
    done = machine.install(*words, "--phrases", phrases)
    assert done.returncode == 0, done.stderr
    prefix = machine.root / "opt/ds2edge"
    unit = machine.root / "etc/systemd/system/ds2edge-serve.service"
    command = f"{prefix}/venv/bin/ds2edge serve --model {prefix}/model.tflite"
    with_phrases = f"\nExecStart={command} --phrases {prefix}/phrases.ds2ph $SERVE_OPTIONS\n"
    assert with_phrases in unit.read_text()
    assert "@P" not in unit.read_text()
    assert (prefix / "phrases.ds2ph").read_text() == "phrases"
    assert any(f"{WHEEL}[serve,zeroconf]" in call for call in machine.calls)
    assert [call for call in machine.calls if call.startswith("systemctl")] == [
        "systemctl --system show-environment",
        "systemctl --system daemon-reload",
        "systemctl --system enable --quiet ds2edge-serve",
        "systemctl --system restart ds2edge-serve",
        "systemctl --system is-active --quiet ds2edge-serve",
    ]
    assert "the service is serving" in done.stdout
    assert machine.install(*words).returncode == 0  # an upgrade keeps the phrases
    assert with_phrases in unit.read_text()


def test_a_model_with_phrases_inside_replaces_the_phrases_of_an_earlier_call(board):
    machine = board()
    phrases = machine.kit / "my.ds2ph"
    phrases.write_text("phrases")
    words = ["--service", "serve", "--model", machine.model]
    assert machine.install(*words, "--phrases", phrases).returncode == 0
    card = "echo model x; echo 'phrases         yes, no; 7 states; least confidence 0.2'"
    (machine.bin / "ds2edge-of-the-wheel").write_text(f"#!/bin/sh\n{card}\n")
    assert machine.install(*words).returncode == 0
    assert not (machine.root / "opt/ds2edge/phrases.ds2ph").exists()
    unit = machine.root / "etc/systemd/system/ds2edge-serve.service"
    assert "/model.tflite $SERVE_OPTIONS\n" in unit.read_text()
    assert machine.install(*words, "--phrases", phrases).returncode == 0  # these count
    assert (machine.root / "opt/ds2edge/phrases.ds2ph").exists()


def test_without_phrases_the_service_serves_free_text_and_needs_no_sound_package(board):
    machine = board(lacking="python3-pyaudio")
    done = machine.install("--service", "serve", "--model", machine.model)
    assert done.returncode == 0, done.stderr
    assert "Debian packages to add: none" in done.stdout
    unit = machine.root / "etc/systemd/system/ds2edge-serve.service"
    assert "/model.tflite $SERVE_OPTIONS\n" in unit.read_text()


def test_uninstalling_removes_both_system_services(board):
    machine = board()
    for kind in ("system", "serve"):
        machine.install("--service", kind, "--model", machine.model)
    assert machine.install("--uninstall", "--service", "serve").returncode == 0
    assert not machine.files
    for name in ("ds2edge", "ds2edge-serve"):
        assert f"systemctl --system disable --quiet --now {name}" in machine.calls


def test_uninstalling_removes_all_but_the_transcript(board):
    machine = board()
    machine.install("--model", machine.model, "--service", "user")
    (machine.prefix / "transcript.jsonl").write_text("{}\n")
    done = machine.install("--uninstall")
    assert done.returncode == 0, done.stderr
    assert machine.files == [machine.prefix / "transcript.jsonl"]
    assert f"kept: {machine.prefix}/transcript.jsonl" in done.stdout
    assert "systemctl --user disable --quiet --now ds2edge" in machine.calls


def test_uninstalling_keeps_the_command_of_another_installation(board):
    machine = board()
    other = machine.home / ".local/bin/ds2edge"
    other.parent.mkdir(parents=True)
    other.write_text("another")
    assert machine.install("--uninstall").returncode == 0
    assert other.read_text() == "another"


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_finds_no_problem():
    done = subprocess.run(
        ["shellcheck", FOLDER / "install.sh"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize(
    ("template", "manager"),
    [("ds2edge", "--user"), ("ds2edge-system", "--system"), ("ds2edge-serve", "--system")],
)
def test_systemd_accepts_the_units(tmp_path, template, manager):
    program = tmp_path / "venv/bin/ds2edge"
    program.parent.mkdir(parents=True)
    program.symlink_to("/bin/true")  # systemd-analyze checks that the program exists
    unit = tmp_path / "ds2edge.service"
    text = (FOLDER / f"{template}.service").read_text().replace("@PREFIX@", str(tmp_path))
    unit.write_text(text.replace("@PHRASES@", f"--phrases {tmp_path}/phrases.ds2ph"))
    done = subprocess.run(
        ["systemd-analyze", manager, "verify", unit],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert (done.returncode, done.stderr) == (0, "")
