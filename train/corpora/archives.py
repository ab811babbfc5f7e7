"""Downloads archives of published corpora, verifies and unpacks them. Downloads can be resumed."""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import logging
import shutil
import tarfile
import time
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import requests
from requests.exceptions import ChunkedEncodingError, InvalidSchema, InvalidURL, MissingSchema

from ds2edge.runtime.errors import InputError
from ds2edge.train.progress import open_tracked, track_bytes

log = logging.getLogger("ds2edge")

TIMEOUT = 30  # seconds without a byte
WAITS = (1, 2, 4, 8, 16)  # seconds before the next attempts; back to the first when bytes arrive
BLOCK = 1 << 16  # bytes: as much is lost when a connection breaks
TRANSIENT = (408, 425, 429)  # status codes 4xx that may change with time


@dataclass(frozen=True)
class Archive:
    """A published file: its address, and the bytes that must come from there."""

    name: str
    url: str
    size: int  # bytes
    checksum: str  # "algorithm:hexadecimal"


def fetch(archive: Archive, folder: Path, top: str) -> Path:
    """Downloads an archive into `folder`, unpacks its folder `top` and deletes the archive.

    Returns the unpacked folder, which is named after the archive. If it exists, nothing is
    downloaded. An interrupted download is resumed. InputError as in `download` and `unpack`.
    """
    target = folder / archive.name.split(".tar.")[0]
    if not target.exists():
        path = folder / archive.name
        download(archive, path)
        unpack(path, top, target)
        path.unlink()
    return target


def download(archive: Archive, path: Path) -> None:
    """Downloads to `path`, which appears when all bytes are there and match the checksum.

    Until then they are in a .part file, from which the next call continues if the server allows
    it. InputError for a wrong address, an unreachable server, other bytes, or a full disk.
    """
    if path.exists():
        return
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _require_space(archive, part)
        _receive_all(archive, part)
        _verify(archive, part)
        part.replace(path)
    except OSError as error:  # network errors do not get here
        raise InputError(
            f"{part}: {error.strerror}: {_remedy(error)} and run this again to continue"
        ) from None


def _require_space(archive: Archive, part: Path) -> None:
    missing = archive.size - _size(part)
    free = shutil.disk_usage(part.parent).free
    if missing > free:
        raise InputError(
            f"{part.parent}: needs {missing / 1e9:.1f} GB, only {free / 1e9:.1f} GB free: "
            "make room, or choose another folder with -o"
        )


def _receive_all(archive: Archive, part: Path) -> None:
    """Connects again and again until all bytes are there."""
    waits = iter(WAITS)
    have = _size(part)
    with requests.Session() as session, track_bytes(archive.name, archive.size, have) as show:
        while have != archive.size:
            try:
                _receive(session, archive, part, show)
            except (InvalidSchema, InvalidURL, MissingSchema) as error:
                raise InputError(f"{archive.url}: not a valid address ({error})") from None
            except requests.RequestException as error:
                if _size(part) > have:
                    waits = iter(WAITS)
                wait = next(waits, None)
                if wait is None:
                    raise InputError(
                        f"{archive.url}: {_reason(error)}: run this again later to continue"
                    ) from None
                log.info("%s: %s; trying again in %g s", archive.name, _reason(error), wait)
                time.sleep(wait)
            have = _size(part)


def _receive(
    session: requests.Session, archive: Archive, part: Path, show: Callable[[int], None]
) -> None:
    """Appends the bytes of one connection to `part`."""
    have = _size(part) if _size(part) < archive.size else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with session.get(archive.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        have = _check_response(response, archive, have)
        with part.open("ab" if have else "wb") as file:
            for block in response.iter_content(BLOCK):
                file.write(block)
                have += len(block)
                show(have)
                if have > archive.size:
                    raise InputError(
                        f"{archive.url}: sends more than {archive.size} bytes: "
                        "not the expected archive"
                    )
    if have < archive.size:  # without a Content-Length a response may end anywhere
        raise ChunkedEncodingError


def _check_response(response: requests.Response, archive: Archive, have: int) -> int:
    """Returns the number of bytes that the response leaves out: `have` or 0."""
    if 400 <= response.status_code < 500 and response.status_code not in TRANSIENT:
        raise InputError(
            f"{archive.url}: the server answers {response.status_code} {response.reason}: "
            "give another address, or a local copy with --from"
        )
    response.raise_for_status()
    if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        have = 0  # the server sends the file from its start
    offered = have + int(response.headers.get("Content-Length", archive.size - have))
    if offered != archive.size:
        raise InputError(
            f"{archive.url}: offers {offered} bytes, {archive.size} are expected: "
            "not the expected archive"
        )
    return have


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"no answer for {TIMEOUT} s"
    if isinstance(error, ChunkedEncodingError):
        return "the connection broke off"
    return "no connection to the server"


def _verify(archive: Archive, path: Path) -> None:
    algorithm, _, expected = archive.checksum.partition(":")
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open_tracked(path, f"verifying {archive.name}") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != expected:
        path.unlink()
        raise InputError(
            f"{archive.url}: {algorithm} {digest.hexdigest()} differs from the expected "
            f"{expected}; the download is deleted: run this again, or give another address"
        )


def unpack(path: Path, top: str, target: Path) -> None:
    """Unpacks folder `top` of a .tar, .tar.gz or .tar.bz2 as `target`, unless that exists.

    `target` appears when all files are there. With `top` "" the whole archive is unpacked.
    InputError if the archive is damaged, has no such folder or writes outside of it, or if the
    disk is full.
    """
    if target.exists():
        return
    part = target.with_name(target.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _extract(path, part)
        if not (part / top).is_dir():
            raise InputError(f"{path}: has no folder {top} in it: not the expected archive")
        (part / top).rename(target)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a sound archive ({error}): download it again") from None
    except OSError as error:
        if error.errno:
            raise InputError(
                f"{error.filename or target}: {error.strerror}: {_remedy(error)}"
            ) from None
        # bz2 and gzip raise OSError without a number for bad data
        raise InputError(f"{path}: not a sound archive ({error}): download it again") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _extract(path: Path, folder: Path) -> None:
    """Extracts all files of an archive; none has links or devices."""
    decompress = _decompressor(path)
    with open_tracked(path, f"unpacking {path.name}") as file, decompress(file) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                if member.isreg():
                    _write(tar.extractfile(member), folder, member.name)
        while stream.read(1 << 20):  # gzip's checksum is at the end
            pass


def _decompressor(path: Path) -> Callable[[BinaryIO], Any]:
    """Chosen by the first bytes. tarfile's own decompression ignores wrong checksums."""
    with path.open("rb") as file:
        magic = file.read(3)
    if magic == b"BZh":
        return bz2.open
    return gzip.open if magic[:2] == b"\x1f\x8b" else nullcontext


def _write(source: IO[bytes] | None, folder: Path, name: str) -> None:
    """Writes a member of an archive inside of `folder`. TarError if its name leads outside.

    The tarfile module of Debian 12 has no filter that does this.
    """
    path = folder / name
    if source is None or ".." in path.parts or not path.is_relative_to(folder):
        raise tarfile.TarError(f"{name} would be written outside of it")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        shutil.copyfileobj(source, file)


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room"
    return "choose another folder with -o"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
