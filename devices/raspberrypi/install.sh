#!/bin/sh
# Installs ds2edge on a Raspberry Pi or another Debian machine, upgrades it, takes it away. Its page is README.md.
set -eu
umask 022

usage() {
  cat <<'TEXT'
usage: install.sh [--model FILE] [--service user|system] [--wheel FILE] [--prefix DIR] [--check]
       install.sh --uninstall [--service system] [--prefix DIR]

  --model FILE     the .tflite file to keep beside the program, as DIR/model.tflite
  --service KIND   listen from now on: user (PipeWire, PulseAudio or ALSA) or system (ALSA, nobody logged in)
  --wheel FILE     what to install; by default the newest deepspeech2_edge-*.whl beside this script
  --prefix DIR     where it all goes: ~/.local/share/ds2edge, or /opt/ds2edge with --service system
  --check          only say what would be done, or why it cannot be
  --uninstall      take it all away again, but for the transcript
The variable PYTHON names another interpreter than /usr/bin/python3.
TEXT
}

refuse() { echo "error: $*" >&2; exit 2; }
fail() { echo "error: $*" >&2; exit 1; }

model='' service='' wheel='' prefix='' check='' uninstall=''
parse() {
  while [ $# -gt 0 ]; do
    case $1 in --model | --service | --wheel | --prefix) [ $# -gt 1 ] || refuse "$1 needs a value: see --help" ;; esac
    case $1 in
      --model) model=$2 && shift ;;
      --service) service=$2 && shift ;;
      --wheel) wheel=$2 && shift ;;
      --prefix) prefix=$2 && shift ;;
      --check) check=yes ;;
      --uninstall) uninstall=yes ;;
      -h | --help) usage && exit ;;
      *) refuse "$1: no such option: see --help" ;;
    esac
    shift
  done
}
parse "$@"

here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-/usr/bin/python3}
case $service in
  system)
    : "${prefix:=/opt/ds2edge}"
    bin=/usr/local/bin units=/etc/systemd/system scope=--system template=ds2edge-system.service
    ;;
  user | '')
    : "${prefix:=$HOME/.local/share/ds2edge}"
    bin=$HOME/.local/bin units=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user scope=--user template=ds2edge.service
    ;;
  *) refuse "--service $service: user or system" ;;
esac
case $prefix in [!/]* | *[!A-Za-z0-9/._+@-]*) refuse "$prefix: the prefix must be a full path, without spaces" ;; esac
venv=$prefix/venv unit=$units/ds2edge.service
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
if [ "$service" = system ] && [ -z "$check" ] && [ "$(id -u)" != 0 ]; then
  exec sudo sh "$0" "$@" # what the whole machine shares belongs to root
fi

if [ -n "$uninstall" ]; then
  if [ -f "$unit" ]; then
    systemctl "$scope" disable --quiet --now ds2edge || echo "warning: the service could not be stopped"
    rm -rf "$unit" "$unit.d"
    systemctl "$scope" daemon-reload || true
  fi
  [ "$(readlink "$bin/ds2edge")" != "$venv/bin/ds2edge" ] || rm "$bin/ds2edge"
  rm -rf "$venv" "$prefix/model.tflite" "$prefix/model.tflite.part" "$prefix/install.sh"
  rmdir "$prefix" 2>/dev/null || true
  echo "ds2edge is gone from $prefix; Debian's packages stay"
  for file in "$prefix/transcript.jsonl" /var/lib/ds2edge/transcript.jsonl; do
    [ ! -f "$file" ] || echo "kept: $file"
  done
  exit
fi

# Can this machine be served? Until all of this is answered, nothing is changed.
{ command -v dpkg && command -v apt-get; } >/dev/null || refuse "not a Debian system: pip install the wheel in a venv"
command -v "$python" >/dev/null || refuse "there is no $python: sudo apt-get install python3"
architecture=$(dpkg --print-architecture) # of the programs; the kernel of a 32-bit Raspberry Pi OS may be a 64-bit one
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
glibc=$(getconf GNU_LIBC_VERSION) && glibc=${glibc#glibc }
why="the system's own, which Debian's PyAudio is built for"
[ "$python" = /usr/bin/python3 ] || why="named by PYTHON; Debian's PyAudio is built for /usr/bin/python3"
kernel=$(uname -m)
[ "$kernel" != armv6l ] ||
  refuse "a Raspberry Pi 1 or Zero (armv6l): no LiteRT interpreter is built for it; take a Zero 2 W, 3, 4 or 5"
[ "${glibc#*.}" -ge 34 ] || refuse "glibc $glibc: LiteRT interpreters need 2.34; take Debian 12 (Bookworm) or newer"
case $architecture:$version in
  arm64:3.1[0-4] | amd64:3.1[0-4]) ;;
  arm64:* | amd64:*) refuse "Python $version: ai-edge-litert is built for 3.10 to 3.14; set PYTHON to one of these" ;;
  armhf:3.11) why="$why, and the only one that tflite-runtime has a 32-bit wheel for" ;;
  armhf:*) refuse "Python $version, 32-bit: tflite-runtime is for 3.11; take the 64-bit system, or 32-bit Bookworm" ;;
  *) refuse "a system for $architecture: LiteRT interpreters are built for arm64, armhf and amd64 alone" ;;
esac
memory=$(($(getconf _PHYS_PAGES) * $(getconf PAGE_SIZE) / 1048576))
[ "$memory" -ge 320 ] || refuse "$memory MB of memory: 320 are needed; does gpu_mem in config.txt take too much?"
folder=$prefix
while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
free=$(($(df -Pk "$folder" | awk 'NR == 2 { print $4 }') / 1024))
[ "$free" -ge 400 ] || refuse "$free MB free in $folder: 400 are needed; make room, or give --prefix on another disk"

[ -n "$wheel" ] || wheel=$(find "$here" -maxdepth 1 -name 'deepspeech2_edge-*.whl' | sort -V | tail -n 1)
[ -n "$wheel" ] || refuse "no deepspeech2_edge-*.whl in $here: put it there, or give --wheel FILE"
[ -f "$wheel" ] || refuse "$wheel: no such wheel"
[ -z "$model" ] || [ -f "$model" ] || refuse "$model: no such model"
[ -n "$service" ] || [ ! -f "$unit" ] || service=user # an upgrade keeps the service
if [ -n "$service" ]; then
  [ -n "$model" ] || [ -f "$prefix/model.tflite" ] || refuse "--service needs --model FILE to listen with"
  systemctl "$scope" show-environment >/dev/null 2>&1 ||
    refuse "no answer from systemctl $scope: log in as this user by ssh or at the screen, or leave out --service"
fi
packages='python3-venv python3-pyaudio' missing=''
[ "$architecture" != armhf ] || packages="$packages python3-numpy python3-cffi libsndfile1"
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done

echo "board: $architecture, glibc $glibc, $memory MB of memory, $free MB free"
echo "python: $python, $version: $why"
echo "Debian packages to add:${missing:- none}"
echo "install: $(basename "$wheel") into $venv, as $bin/ds2edge${service:+, with a $service service}"
[ -z "$check" ] || exit 0

if [ -n "$missing" ]; then
  as_root apt-get update -qq || true # an old list may do
  # shellcheck disable=SC2086  # a list of words
  as_root apt-get install -qq -y --no-install-recommends $missing >/dev/null ||
    fail "apt-get could not add the packages: run 'sudo apt-get install$missing' yourself, then this again"
fi

# A venv, since Debian lets pip write nowhere else (PEP 668); with the system's packages, for PyAudio and 32-bit numpy.
# One of another Python, after an upgrade of Debian, is of no use; one of this Python is mended in place.
clear=''
[ -d "$venv/lib/python$version" ] || clear=--clear
mkdir -p "$prefix" "$bin"
"$python" -m venv --system-site-packages ${clear:+"$clear"} "$venv"
as_32_bit=''
pip_install() { $as_32_bit "$venv/bin/python" -m pip --quiet --disable-pip-version-check --no-cache-dir install "$@"; }
echo "installing, which takes minutes on a small board"
if [ "$architecture" = armhf ]; then
  # Under a 64-bit kernel pip chooses 64-bit packages, unless asked like this, which Bookworm's own pip is too old for.
  [ "$kernel" != aarch64 ] || as_32_bit='setarch linux32'
  pip_install --upgrade 'pip>=24' || fail "pip could not be upgraded: is the board online? Then run this again"
fi
# Twice: pip passes over a wheel of the version that is there already, unless forced, and then would fetch all anew.
{ pip_install --force-reinstall --no-deps "$wheel" && pip_install "$wheel"; } ||
  fail "pip could not install $wheel: is the board online? Then run this again"
if [ "$architecture" = armhf ]; then
  pip_install --only-binary :all: 'soxr>=0.5' || echo "warning: no soxr for this board: only 16 kHz sound is taken"
fi
ln -sfn "$venv/bin/ds2edge" "$bin/ds2edge"
"$bin/ds2edge" --version || fail "the installed program does not start"
if [ -n "$model" ]; then
  "$bin/ds2edge" info --model "$model" || refuse "$model: no model of ds2edge; it was not installed"
  cp "$model" "$prefix/model.tflite.part"
  mv "$prefix/model.tflite.part" "$prefix/model.tflite" # at once: a service may be reading the old one
fi
[ "$here" = "$prefix" ] || cp "$0" "$prefix/install.sh"

if [ -n "$service" ]; then
  mkdir -p "$units"
  sed "s|@PREFIX@|$prefix|g" "$here/$template" >"$unit"
  # Lingering starts the user's services with the machine and keeps them after logging out.
  [ "$service" = system ] || loginctl enable-linger ||
    fail "run 'sudo loginctl enable-linger $(id -un)', then this again"
  systemctl "$scope" daemon-reload
  systemctl "$scope" enable --quiet ds2edge
  systemctl "$scope" restart ds2edge
  sleep 3
  systemctl "$scope" is-active --quiet ds2edge || fail "the service does not stay up: journalctl $scope -u ds2edge"
  echo "the service listens: journalctl $scope -u ds2edge -f"
fi
case :$PATH: in *:"$bin":*) ;; *) echo "log in again to have $bin on your PATH" ;; esac
echo "done; to take it away again: $prefix/install.sh --uninstall, with the same --service and --prefix"
