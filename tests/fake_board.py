"""A board made of fake programs, on which install.sh runs."""

import shutil
import subprocess
from pathlib import Path

FOLDER = Path("devices/raspberrypi").resolve()
WHEEL = "deepspeech2_edge-0.2.0-py3-none-any.whl"
# Real programs that the script uses. All other programs on the board's PATH are fake.
REAL = [
    *("awk", "basename", "cat", "chmod", "cp", "dirname", "find", "grep", "ln", "mkdir", "mv"),
    *("readlink", "rm", "rmdir", "sed", "sh", "sort", "tail"),
]

# Makes a venv. Its python installs a fake ds2edge when pip is asked to install the wheel.
PYTHON = """
case $1 in -c) echo {python}; exit ;; esac
for venv; do :; done
mkdir -p "$venv/bin" "$venv/lib/python{python}"
cat >"$venv/bin/python" <<'END'
#!/bin/sh
echo "pip $*" >>{log}
case "$*" in
  *soxr*) exit {soxr} ;;
  *.whl) cp {ds2edge} "${{0%python}}ds2edge"; exit {pip} ;;
esac
END
chmod +x "$venv/bin/python"
"""
# Each runs the command that it is given.
SUDO = 'ROOT=0; export ROOT; exec "$@"'
SETARCH = 'shift; exec "$@"'


class FakeBoard:
    """A board on which install.sh finds only fake programs."""

    def __init__(
        self,
        folder: Path,
        architecture="arm64",
        kernel="aarch64",
        python="3.11",
        glibc="2.36",
        memory=900,
        free=9000,
        lacking="",
        user=1000,
        soxr=0,
        pip=0,
        systemd=0,
    ) -> None:
        self.root = folder / "root"
        self.home = folder / "root/home/pi"
        self.bin = folder / "bin"
        self.kit = folder / "kit"
        self._log = folder / "log"
        for path in (self.home, self.bin, self.kit):
            path.mkdir(parents=True)
        self._log.touch()
        for name in REAL:
            (self.bin / name).symlink_to(shutil.which(name))
        ds2edge = self._fake("ds2edge-of-the-wheel", 'echo "ds2edge $*"')
        self._fake("uname", f"echo {kernel}")
        self._fake("dpkg", f"echo {architecture}")
        self._fake(
            "dpkg-query",
            f'case " {lacking} " in *" $4 "*) exit 1 ;; esac; echo install ok installed',
        )
        pages = memory * 256
        answers = f"G*) echo glibc {glibc} ;; PA*) echo 4096 ;; *) echo {pages} ;;"
        self._fake("getconf", f"case $1 in {answers} esac")
        self._fake("df", f"echo Filesystem; echo /dev/root 1 1 {free * 1024} 1% /")
        self._fake("id", f"echo ${{ROOT:-{user}}}")
        self._fake("sudo", SUDO, log=True)
        self._fake("setarch", SETARCH, log=True)
        self._fake("systemctl", f"exit {systemd}", log=True)
        for name in ("apt-get", "loginctl", "sleep"):
            self._fake(name, "", log=True)
        words = {"python": python, "log": self._log, "soxr": soxr, "pip": pip, "ds2edge": ds2edge}
        python_there = self._fake("python3", PYTHON.format(**words), log=True)
        for path in (*FOLDER.glob("*.service"), FOLDER / "install.sh"):
            text = path.read_text().replace("/usr/bin/python3", str(python_there))
            for place in ("=/opt/", "=/usr/local/", "=/etc/"):
                text = text.replace(place, f"={self.root}{place[1:]}")
            (self.kit / path.name).write_text(text)
        (self.kit / WHEEL).touch()
        self.model = folder / "a.tflite"
        self.model.write_text("a model")

    def _fake(self, name: str, script: str, log: bool = False) -> Path:
        path = self.bin / name
        path.write_text(
            "#!/bin/sh\n" + (f'echo "{name} $*" >>{self._log}\n' if log else "") + script + "\n"
        )
        path.chmod(0o755)
        return path

    def install(self, *words: object, **environment: object) -> subprocess.CompletedProcess[str]:
        command = ["/bin/sh", str(self.kit / "install.sh"), *map(str, words)]
        variables = {
            "PATH": str(self.bin),
            "HOME": str(self.home),
            **{k: str(v) for k, v in environment.items()},
        }
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=variables, timeout=60
        )

    @property
    def calls(self) -> list[str]:
        """The programs that were run, in order."""
        return self._log.read_text().splitlines()

    @property
    def files(self) -> list[Path]:
        """All files on its disk."""
        return [path for path in self.root.rglob("*") if not path.is_dir()]

    @property
    def prefix(self) -> Path:
        return self.home / ".local/share/ds2edge"

    @property
    def unit(self) -> Path:
        return self.home / ".config/systemd/user/ds2edge.service"
