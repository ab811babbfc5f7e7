"""Archives of published corpora: downloaded in as many pieces as it takes, verified, unpacked."""

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
WAITS = (
    1,
    2,
    4,
    8,
    16,
)  # seconds before the next attempt; they start again whenever bytes have come
BLOCK = 1 << 16  # bytes: as much as is lost when the connection breaks
TRANSIENT = (408, 425, 429)  # of the answers 4xx, those that may be another one later


@dataclass(frozen=True)
class Archive:
    """What is published: a file, where it is, and the bytes that must come from there."""

    name: str  # of the file
    url: str
    size: int  # bytes
    checksum: str  # algorithm:hexadecimal, with the algorithm that the publisher chose


def fetch(archive: Archive, folder: Path, top: str) -> Path:
    """Downloads and unpacks into `folder`; returns the folder, named after the archive, that holds what was in `top`.

    What is there already is not fetched again, and an interrupted download goes on. The archive itself is deleted
    when it is unpacked. InputError as for `download` and `unpack`.
    """
    target = folder / archive.name.split(".tar.")[0]
    if not target.exists():
        path = folder / archive.name
        download(archive, path)
        unpack(path, top, target)
        path.unlink()
    return target


def download(archive: Archive, path: Path) -> None:
    """Downloads to `path`, which appears when all bytes are there and are the published ones.

    Until then they are in a file beside it, and the next call goes on after them if the server can. InputError for an
    address that is wrong, a server that stays away, other bytes, and no room on the disk.
    """
    if path.exists():
        return
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        missing, free = archive.size - _size(part), shutil.disk_usage(path.parent).free
        if missing > free:
            raise InputError(
                f"{path.parent}: {missing / 1e9:.1f} GB are to come and {free / 1e9:.1f} GB are free: make room, or "
                "choose another folder with -o"
            )
        _receive_all(archive, part)
        _verify(archive, part)
        part.replace(path)
    except OSError as error:  # those of the connection have been caught
        raise InputError(
            f"{part}: {error.strerror}: {_remedy(error)} and run this again, it will go on"
        ) from None


def _receive_all(archive: Archive, part: Path) -> None:
    waits = iter(WAITS)
    have = _size(part)
    with requests.Session() as session, track_bytes(archive.name, archive.size, have) as show:
        while have != archive.size:
            try:
                _receive(session, archive, part, show)
            except (InvalidSchema, InvalidURL, MissingSchema) as error:
                raise InputError(f"{archive.url}: no address of a download ({error})") from None
            except requests.RequestException as error:
                if _size(part) > have:
                    waits = iter(WAITS)
                wait = next(waits, None)
                if wait is None:
                    raise InputError(
                        f"{archive.url}: {_reason(error)}: run this again later, and it goes on after what has come"
                    ) from None
                log.info("%s: %s; going on in %g s", archive.name, _reason(error), wait)
                time.sleep(wait)
            have = _size(part)


def _receive(
    session: requests.Session, archive: Archive, part: Path, show: Callable[[int], None]
) -> None:
    """Appends to `part` what one connection gives."""
    have = _size(part) if _size(part) < archive.size else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with session.get(archive.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if 400 <= response.status_code < 500 and response.status_code not in TRANSIENT:
            raise InputError(
                f"{archive.url}: the server answers {response.status_code} {response.reason}: give an address that has "
                "the file, or with --from a copy of it"
            )
        response.raise_for_status()
        if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            have = 0  # the server begins at the beginning, whatever it was asked for
        offered = have + int(response.headers.get("Content-Length", archive.size - have))
        if offered != archive.size:
            raise InputError(
                f"{archive.url}: gives {offered} bytes where {archive.size} are expected: not this corpus"
            )
        with part.open("ab" if have else "wb") as file:
            for block in response.iter_content(BLOCK):
                file.write(block)
                have += len(block)
                show(have)
                if have > archive.size:
                    raise InputError(
                        f"{archive.url}: gives more than {archive.size} bytes: not this corpus"
                    )
    if have < archive.size:  # without a length in its header an answer may end anywhere
        raise ChunkedEncodingError


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"no answer for {TIMEOUT} s"
    return (
        "the connection broke off"
        if isinstance(error, ChunkedEncodingError)
        else "no connection to the server"
    )


def _verify(archive: Archive, path: Path) -> None:
    algorithm, _, expected = archive.checksum.partition(":")
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open_tracked(path, f"verifying {archive.name}") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != expected:
        path.unlink()
        raise InputError(
            f"{archive.url}: gives {algorithm} {digest.hexdigest()} where {expected} is expected, and is deleted: "
            "run this again, or give another address"
        )


def unpack(path: Path, top: str, target: Path) -> None:
    """Unpacks folder `top` of a .tar, .tar.gz or .tar.bz2 as `target`, which appears when all of it is there; once.

    `top` "": all of it.

    InputError if the archive is damaged, holds no such folder, or reaches outside of it; and for a full disk.
    """
    if target.exists():
        return
    part = target.with_name(target.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        decompress = _decompressor(path)
        with open_tracked(path, f"unpacking {path.name}") as file, decompress(file) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in tar:
                    if member.isreg():  # or a folder; no corpus has links or devices
                        _write(tar.extractfile(member), part, member.name)
            while stream.read(1 << 20):  # the checksum of gzip is at its end
                pass
        if not (part / top).is_dir():
            raise InputError(f"{path}: has no folder {top} in it: not this corpus")
        (part / top).rename(target)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a sound archive ({error}): download it again") from None
    except OSError as error:  # bz2 says this of bad data, without a number
        if error.errno:
            raise InputError(
                f"{error.filename or target}: {error.strerror}: {_remedy(error)}"
            ) from None
        raise InputError(f"{path}: not a sound archive ({error}): download it again") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _decompressor(path: Path) -> Callable[[BinaryIO], Any]:
    """By the first bytes. tarfile's own would pass over wrong checksums."""
    with path.open("rb") as file:
        begins = file.read(3)
    return bz2.open if begins == b"BZh" else gzip.open if begins[:2] == b"\x1f\x8b" else nullcontext


def _write(source: IO[bytes] | None, folder: Path, name: str) -> None:
    """A file of the archive, inside of `folder`; Debian 12's tarfile lacks the filter that would see to it."""
    path = folder / name
    if source is None or ".." in path.parts or not path.is_relative_to(folder):
        raise tarfile.TarError(f"{name} would be written outside of it")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        shutil.copyfileobj(source, file)


def _remedy(error: OSError) -> str:
    return (
        "make room"
        if error.errno in (errno.ENOSPC, errno.EDQUOT)
        else "choose another folder with -o"
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
