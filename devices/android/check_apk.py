"""Takes an APK of the demo apart and checks what is inside.

    python devices/android/check_apk.py app.apk

Needs Debian's aapt, apksigner, dexdump and binutils. Exit code 1 if something is wrong.
"""

from __future__ import annotations

import re
import struct
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import click

CLASSES = [
    "org.ds2edge.Recognizer",
    "org.ds2edge.android.Ds2edgeRecognitionService",
    "org.ds2edge.android.Transcriber",
    "org.ds2edge.demo.MainActivity",
    "org.tensorflow.lite.Interpreter",
]
ABIS = {"arm64-v8a", "armeabi-v7a", "x86", "x86_64"}
ABIS_64_BIT = {"arm64-v8a", "x86_64"}  # only these have devices with pages of 16 KB
PERMISSIONS = {"android.permission.RECORD_AUDIO"}  # and not the internet
MODEL = "assets/model.tflite"
LOCAL_HEADER = 30  # bytes before the name of a member of a zip


@click.command()
@click.argument("apk", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--pages",
    type=click.Choice(["4", "16"]),
    default="16",
    show_default=True,
    help="Pages in KB to which the native libraries must be aligned.",
)
def main(apk: Path, pages: str) -> None:
    """Check what is inside an APK of the demo."""
    faults = [*dex_faults(apk), *manifest_faults(apk), *member_faults(apk), *signature_faults(apk)]
    faults += library_faults(apk, 1024 * int(pages))
    for fault in faults:
        click.echo(f"{apk}: {fault}", err=True)
    if faults:
        raise SystemExit(1)
    click.echo(f"{apk}: nothing wrong, libraries for pages of {pages} KB")


def dex_faults(apk: Path) -> Iterator[str]:
    """Classes that are missing in classes.dex."""
    listing = _run("dexdump", str(apk))
    present = set(re.findall(r"Class descriptor *: 'L(.*);'", listing))
    for name in CLASSES:
        if name.replace(".", "/") not in present:
            yield f"the dex file has no class {name}"


def manifest_faults(apk: Path) -> Iterator[str]:
    """Permissions that are missing or too many; an activity that cannot be started."""
    badging = _run("aapt", "dump", "badging", str(apk))
    permissions = set(re.findall(r"^uses-permission: name='(.*?)'", badging, re.MULTILINE))
    if permissions != PERMISSIONS:
        yield f"permissions are {sorted(permissions)}, not {sorted(PERMISSIONS)}"
    if "launchable-activity: name='org.ds2edge.demo.MainActivity'" not in badging:
        yield "the launcher finds no activity"


def member_faults(apk: Path) -> Iterator[str]:
    """A model that is missing or compressed; missing ABIs."""
    with zipfile.ZipFile(apk) as archive:
        members = {member.filename: member for member in archive.infolist()}
    if MODEL not in members:
        yield f"no {MODEL}"
    elif members[MODEL].compress_type != zipfile.ZIP_STORED:
        yield f"{MODEL} is compressed, so it cannot be mapped into memory"
    abis = {name.split("/")[1] for name in members if name.startswith("lib/")}
    if abis != ABIS:
        yield f"libraries are for {sorted(abis)}, not {sorted(ABIS)}"


def library_faults(apk: Path, page: int) -> Iterator[str]:
    """64-bit libraries that a device with pages of `page` bytes cannot load from the APK."""
    with zipfile.ZipFile(apk) as archive, tempfile.TemporaryDirectory() as folder:
        for member in archive.infolist():
            parts = member.filename.split("/")
            if parts[0] != "lib" or parts[1] not in ABIS_64_BIT:
                continue
            if member.compress_type != zipfile.ZIP_STORED:
                yield f"{member.filename} is compressed"
            elif _data_offset(apk, member) % page:
                yield f"{member.filename} does not begin at a multiple of {page} bytes"
            program_headers = _run("readelf", "-lW", archive.extract(member, folder))
            alignments = re.findall(r"^ *LOAD .* (0x[0-9a-f]+)$", program_headers, re.MULTILINE)
            smallest = min(int(alignment, 16) for alignment in alignments)
            if smallest < page:
                yield f"{member.filename} is aligned to {smallest} bytes, not {page}"


def signature_faults(apk: Path) -> Iterator[str]:
    """What apksigner says against the signature."""
    done = subprocess.run(["apksigner", "verify", str(apk)], capture_output=True, text=True)
    if done.returncode:
        yield f"the signature is not valid ({done.stderr.strip() or done.stdout.strip()})"


def _data_offset(apk: Path, member: zipfile.ZipInfo) -> int:
    """Where the bytes of a member begin. The extra field may differ from the directory's."""
    with apk.open("rb") as file:
        file.seek(member.header_offset)
        name, extra = struct.unpack("<HH", file.read(LOCAL_HEADER)[-4:])
    return int(member.header_offset + LOCAL_HEADER + name + extra)


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
