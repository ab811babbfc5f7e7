#!/bin/sh
# Installs, upgrades or removes ds2edge on a Raspberry Pi or another Debian machine. See README.md.
set -eu
umask 022

usage() {
  cat <<'TEXT'
usage: install.sh [--model FILE] [--phrases FILE] [--service user|system|serve] [--wheel FILE]
                  [--prefix DIR] [--check]
       install.sh --uninstall [--service system|serve] [--prefix DIR]

  --model FILE     Model (.tflite) to install as DIR/model.tflite.
  --phrases FILE   Phrases (.ds2ph) for --service serve: all that may be said. They become
                   DIR/phrases.ds2ph, and stay until a model with phrases inside is installed.
  --service KIND   Start a service. Two listen: user (PipeWire, PulseAudio or ALSA) and system
                   (ALSA, runs with nobody logged in). The kind serve transcribes for other
                   programs, such as Home Assistant.
  --wheel FILE     Wheel to install. Default: the newest deepspeech2_edge-*.whl beside this script.
  --prefix DIR     Folder of the installation. Default: ~/.local/share/ds2edge,
                   with --service system or serve /opt/ds2edge.
  --check          Only print what would be done, or why it cannot be done.
  --uninstall      Remove everything except the transcript.
The environment variable PYTHON names another interpreter than /usr/bin/python3.
TEXT
}

refuse() { echo "error: $*" >&2; exit 2; }
fail() { echo "error: $*" >&2; exit 1; }

model='' phrases='' service='' wheel='' prefix='' check='' uninstall=''
parse() {
  while [ $# -gt 0 ]; do
    case $1 in
      --model | --phrases | --service | --wheel | --prefix)
        [ $# -gt 1 ] || refuse "$1 needs a value: see --help"
        ;;
    esac
    case $1 in
      --model) model=$2 && shift ;;
      --phrases) phrases=$2 && shift ;;
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
name=ds2edge extras='' purpose=listening
case $service in
  system | serve)
    : "${prefix:=/opt/ds2edge}"
    bin=/usr/local/bin units=/etc/systemd/system scope=--system template=ds2edge-system.service
    if [ "$service" = serve ]; then
      name=ds2edge-serve extras='[serve,zeroconf]' purpose=serving template=ds2edge-serve.service
    fi
    ;;
  user | '')
    : "${prefix:=$HOME/.local/share/ds2edge}"
    bin=$HOME/.local/bin units=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user
    scope=--user template=ds2edge.service
    ;;
  *) refuse "--service $service: user, system or serve" ;;
esac
case $prefix in
  [!/]* | *[!A-Za-z0-9/._+@-]*)
    refuse "$prefix: the prefix must be an absolute path without spaces"
    ;;
esac
venv=$prefix/venv unit=$units/$name.service
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
if [ "$scope" = --system ] && [ -z "$check" ] && [ "$(id -u)" != 0 ]; then
  exec sudo sh "$0" "$@" # a system service belongs to root
fi

if [ -n "$uninstall" ]; then
  for unit in "$units/ds2edge.service" "$units/ds2edge-serve.service"; do
    [ -f "$unit" ] || continue
    systemctl "$scope" disable --quiet --now "$(basename "$unit" .service)" ||
      echo "warning: the service could not be stopped"
    rm -rf "$unit" "$unit.d"
    systemctl "$scope" daemon-reload || true
  done
  [ "$(readlink "$bin/ds2edge")" != "$venv/bin/ds2edge" ] || rm "$bin/ds2edge"
  rm -rf "$venv" "$prefix/install.sh"
  for file in model.tflite phrases.ds2ph; do
    rm -f "$prefix/$file" "$prefix/$file.part"
  done
  rmdir "$prefix" 2>/dev/null || true
  echo "ds2edge was removed from $prefix; Debian packages were kept"
  for file in "$prefix/transcript.jsonl" /var/lib/ds2edge/transcript.jsonl; do
    [ ! -f "$file" ] || echo "kept: $file"
  done
  exit
fi

# Check the machine before anything is changed.
{ command -v dpkg && command -v apt-get; } >/dev/null ||
  refuse "not a Debian system: install the wheel with pip in a venv"
command -v "$python" >/dev/null || refuse "$python: not found: sudo apt-get install python3"
# The architecture of the programs. A 32-bit Raspberry Pi OS may run a 64-bit kernel.
architecture=$(dpkg --print-architecture)
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
glibc=$(getconf GNU_LIBC_VERSION) && glibc=${glibc#glibc }
why="the system's Python, which Debian's PyAudio is built for"
[ "$python" = /usr/bin/python3 ] ||
  why="from the variable PYTHON; Debian's PyAudio is built for /usr/bin/python3"
kernel=$(uname -m)
[ "$kernel" != armv6l ] ||
  refuse "armv6l (Raspberry Pi 1, Zero): no LiteRT interpreter exists for it; use a Zero 2 W, 3, 4 or 5"
[ "${glibc#*.}" -ge 34 ] ||
  refuse "glibc $glibc: LiteRT interpreters need 2.34; use Debian 12 (Bookworm) or newer"
case $architecture:$version in
  arm64:3.1[0-4] | amd64:3.1[0-4]) ;;
  arm64:* | amd64:*)
    refuse "Python $version: ai-edge-litert supports 3.10 to 3.14; set PYTHON to one of these"
    ;;
  armhf:3.11) why="$why, and the only version with a 32-bit wheel of tflite-runtime" ;;
  armhf:*)
    refuse "Python $version, 32-bit: tflite-runtime needs 3.11; use a 64-bit system or Bookworm"
    ;;
  *) refuse "system for $architecture: LiteRT interpreters exist for arm64, armhf and amd64 only" ;;
esac
memory=$(($(getconf _PHYS_PAGES) * $(getconf PAGE_SIZE) / 1048576))
[ "$memory" -ge 320 ] ||
  refuse "$memory MB of memory: 320 MB are needed; is gpu_mem in config.txt too large?"
folder=$prefix
while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
free=$(($(df -Pk "$folder" | awk 'NR == 2 { print $4 }') / 1024))
[ "$free" -ge 400 ] ||
  refuse "$free MB free in $folder: 400 MB are needed; make room, or give --prefix on another disk"

[ -n "$wheel" ] ||
  wheel=$(find "$here" -maxdepth 1 -name 'deepspeech2_edge-*.whl' | sort -V | tail -n 1)
[ -n "$wheel" ] || refuse "no deepspeech2_edge-*.whl in $here: put it there, or give --wheel FILE"
[ -f "$wheel" ] || refuse "$wheel: no such wheel"
[ -z "$model" ] || [ -f "$model" ] || refuse "$model: no such model"
[ -z "$phrases" ] || [ -f "$phrases" ] || refuse "$phrases: no such phrases"
[ -z "$phrases" ] || [ "$service" = serve ] || refuse "--phrases needs --service serve"
case $phrases in
  '' | *.ds2ph) ;;
  *) refuse "$phrases: make a .ds2ph file of it first: ds2edge phrases compile" ;;
esac
[ -n "$service" ] || [ ! -f "$unit" ] || service=user # an upgrade keeps the service
if [ -n "$service" ]; then
  [ -n "$model" ] || [ -f "$prefix/model.tflite" ] ||
    refuse "--service needs --model FILE to transcribe with"
  systemctl "$scope" show-environment >/dev/null 2>&1 ||
    refuse "no answer from systemctl $scope: log in as this user by ssh or on the board, or omit --service"
fi
packages='python3-venv' missing=''
[ "$service" = serve ] || packages="$packages python3-pyaudio"
[ "$architecture" != armhf ] || packages="$packages python3-numpy python3-cffi libsndfile1"
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
    missing="$missing $package"
done

echo "board: $architecture, glibc $glibc, $memory MB of memory, $free MB free"
echo "python: $python, $version: $why"
echo "Debian packages to add:${missing:- none}"
with_service=${service:+, with a $service service}
echo "install: $(basename "$wheel") into $venv, as $bin/ds2edge$with_service"
[ -z "$check" ] || exit 0

if [ -n "$missing" ]; then
  as_root apt-get update -qq || true # an older package list may be enough
  # shellcheck disable=SC2086  # a list of words
  as_root apt-get install -qq -y --no-install-recommends $missing >/dev/null ||
    fail "apt-get could not install the packages: run 'sudo apt-get install$missing', then this again"
fi

# Debian lets pip write only to a venv (PEP 668). The venv sees the system's packages, for PyAudio
# and 32-bit numpy. It is made anew if it belongs to another Python, as after an upgrade of Debian.
clear=''
[ -d "$venv/lib/python$version" ] || clear=--clear
mkdir -p "$prefix" "$bin"
"$python" -m venv --system-site-packages ${clear:+"$clear"} "$venv"
as_32_bit=''
pip_install() {
  $as_32_bit "$venv/bin/python" -m pip --quiet --disable-pip-version-check --no-cache-dir \
    install "$@"
}
echo "installing; this takes some minutes on a small board"
if [ "$architecture" = armhf ]; then
  # Under a 64-bit kernel pip would choose 64-bit packages. Bookworm's pip is too old for linux32.
  [ "$kernel" != aarch64 ] || as_32_bit='setarch linux32'
  pip_install --upgrade 'pip>=24' ||
    fail "pip could not be upgraded: check that the board is online, then run this again"
fi
# Two steps: without --force-reinstall pip skips a wheel of the installed version, and with it pip
# would also download every dependency again.
{ pip_install --force-reinstall --no-deps "$wheel" && pip_install "$wheel$extras"; } ||
  fail "pip could not install $wheel: check that the board is online, then run this again"
if [ "$architecture" = armhf ]; then
  pip_install --only-binary :all: 'soxr>=0.5' ||
    echo "warning: no soxr for this board: only 16 kHz audio can be used"
fi
put() { cp "$1" "$2.part" && chmod 644 "$2.part" && mv "$2.part" "$2"; } # it may be in use
ln -sfn "$venv/bin/ds2edge" "$bin/ds2edge"
"$bin/ds2edge" --version || fail "the installed program does not start"
if [ -n "$model" ]; then
  card=$("$bin/ds2edge" info --model "$model") ||
    refuse "$model: not a model of ds2edge; it was not installed"
  echo "$card"
  put "$model" "$prefix/model.tflite"
  case $card in # phrases of an earlier call would replace those inside the model
    *"
phrases "*) rm -f "$prefix/phrases.ds2ph" ;;
  esac
fi
[ -z "$phrases" ] || put "$phrases" "$prefix/phrases.ds2ph"
[ "$here" = "$prefix" ] || cp "$0" "$prefix/install.sh"

if [ -n "$service" ]; then
  mkdir -p "$units"
  only=''
  [ ! -f "$prefix/phrases.ds2ph" ] || only="--phrases $prefix/phrases.ds2ph"
  sed "s|@PREFIX@|$prefix|g; s|@PHRASES@ *|${only:+$only }|" "$here/$template" >"$unit"
  # With lingering, the user's services start with the machine and keep running after log-out.
  [ "$scope" = --system ] || loginctl enable-linger ||
    fail "run 'sudo loginctl enable-linger $(id -un)', then this again"
  systemctl "$scope" daemon-reload
  systemctl "$scope" enable --quiet "$name"
  systemctl "$scope" restart "$name"
  sleep 3
  systemctl "$scope" is-active --quiet "$name" ||
    fail "the service does not keep running: journalctl $scope -u $name"
  echo "the service is $purpose: journalctl $scope -u $name -f"
fi
case :$PATH: in *:"$bin":*) ;; *) echo "log in again to have $bin on your PATH" ;; esac
echo "done; to remove it: $prefix/install.sh --uninstall, with the same --service and --prefix"
