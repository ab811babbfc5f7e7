"""Downloads over broken connections, and damaged or wrong archives."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections import namedtuple

import numpy as np
import pytest
from unreliable_server import serve

from ds2edge.runtime.errors import InputError
from ds2edge.train.corpora import archives
from ds2edge.train.corpora.archives import Archive, download, fetch, unpack

CONTENT = np.random.default_rng(0).bytes(1_000_000)


@pytest.fixture(autouse=True)
def _no_waiting_small_blocks_no_proxy(monkeypatch):
    monkeypatch.setattr(archives, "WAITS", (0, 0, 0))
    monkeypatch.setattr(archives, "BLOCK", 100)
    monkeypatch.setenv("NO_PROXY", "*")


def archive_of(url: str, content: bytes = CONTENT) -> Archive:
    return Archive(
        "a.tar.gz", f"{url}/a.tar.gz", len(content), f"md5:{hashlib.md5(content).hexdigest()}"
    )


def tar(kind: str, files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{kind}") as file:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "plan",
    [
        (),
        ("break",) * 10,  # more often than attempts without a byte are allowed
        ("500", "503", "429"),
        ("break", "500", "500", "break", "502", "break"),
        ("break", "whole"),
        ("unlimited", "unlimited"),
    ],
)
def test_a_download_survives_failures_of_the_server(tmp_path, plan):
    with serve(CONTENT, *plan) as server:
        download(archive_of(server.url), tmp_path / "new" / "a.tar.gz")
    assert (tmp_path / "new" / "a.tar.gz").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.tar.gz"]
    assert not server.plan


def test_a_broken_download_continues_after_its_last_block(tmp_path):
    with serve(CONTENT, "break") as server:
        download(archive_of(server.url), tmp_path / "a")
    first, second = server.ranges
    assert first is None
    # Only the last block, which was cut, is lost.
    assert (
        len(CONTENT) // 2 - archives.BLOCK
        <= int(second.removeprefix("bytes=").removesuffix("-"))
        <= len(CONTENT) // 2
    )


def test_a_finished_download_is_not_repeated(tmp_path):
    (tmp_path / "a").write_bytes(CONTENT)
    download(archive_of("http://127.0.0.1:9"), tmp_path / "a")
    (tmp_path / "b.part").write_bytes(CONTENT)  # killed before the file was renamed
    download(archive_of("http://127.0.0.1:9"), tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == CONTENT


def test_a_partial_file_that_is_too_long_is_replaced(tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT + b"more")
    with serve(CONTENT) as server:
        download(archive_of(server.url), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("plan", "says", "kept"),
    [
        (("404",), "the server answers 404 Not Found", None),
        (("403",), "the server answers 403 Forbidden", None),
        (("wrong",), "the download is deleted", None),
        (("page",), "offers 26 bytes, 1000000 are expected", None),
        (("500",) * 4, "the server answers 500 Internal Server Error: run this again later", None),
        (("break", "500", "500", "500"), "run this again later to continue", CONTENT),
        (("break", "404"), "the server answers 404 Not Found", CONTENT),
        (("break", "shifted"), "are expected: not the expected archive", CONTENT),
    ],
)
def test_a_failed_download_is_one_line_with_the_address(tmp_path, plan, says, kept):
    with serve(CONTENT, *plan) as server, pytest.raises(InputError, match=says) as caught:
        download(archive_of(server.url), tmp_path / "a")
    assert str(caught.value).startswith(f"{server.url}/a.tar.gz: ")
    assert "\n" not in str(caught.value)
    assert len(server.ranges) == len(plan)
    assert not (tmp_path / "a").exists()
    if kept:
        came = (tmp_path / "a.part").read_bytes()
        assert came
        assert kept.startswith(came)
    else:
        assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://no-such-host.invalid"])
def test_an_unreachable_server_is_named(tmp_path, url):
    with pytest.raises(InputError, match=f"^{url}/a.tar.gz: no connection to the server: "):
        download(archive_of(url), tmp_path / "a")


@pytest.mark.parametrize("url", ["ftp://example.org", "example.org", "http://"])
def test_an_invalid_address_is_refused_at_once(tmp_path, url):
    with pytest.raises(InputError, match="not a valid address"):
        download(archive_of(url), tmp_path / "a")


def test_a_full_disk_is_reported_before_and_during_a_download(tmp_path, monkeypatch):
    (tmp_path / "a.part").symlink_to("/dev/full")
    with serve(CONTENT) as server:
        with pytest.raises(
            InputError, match=r"a\.part: No space left on device: make room and run this again"
        ):
            download(archive_of(server.url), tmp_path / "a")
        monkeypatch.setattr(
            archives.shutil, "disk_usage", lambda _: namedtuple("Usage", "free")(999_999)
        )
        with pytest.raises(InputError, match=r"needs 0\.0 GB, only 0\.0 GB free: make room"):
            download(archive_of(server.url), tmp_path / "b")
    assert len(server.ranges) == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_download_continues(tmp_path, how):
    code = (
        "import signal, sys\nfrom pathlib import Path\n"
        # A shell's job in the background ignores SIGINT, and so would this process.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from ds2edge.train.corpora.archives import Archive, download\n"
        "url, size, checksum, path = sys.argv[1:]\n"
        "download(Archive('a', url, int(size), checksum), Path(path))"
    )
    part = tmp_path / "a.part"
    with serve(CONTENT, "stall") as server:
        archive = archive_of(server.url)
        arguments = [archive.url, str(archive.size), archive.checksum, str(tmp_path / "a")]
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size > 100_000) and time.monotonic() < until:
            time.sleep(0.005)
        process.send_signal(how)
        assert process.wait(30) != 0
        came = part.stat().st_size
        assert 0 < came < len(CONTENT)
        download(archive, tmp_path / "a")
    assert server.ranges == [None, f"bytes={came}-"]
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_fetching_unpacks_once_and_deletes_the_archive(tmp_path):
    content = tar("gz", {"Top/sub/b.txt": b"two", "Top/a.txt": b"one"})
    with serve(content, "break") as server:
        for _ in range(2):
            assert fetch(archive_of(server.url, content), tmp_path, "Top") == tmp_path / "a"
    assert len(server.ranges) == 2
    assert (tmp_path / "a" / "sub" / "b.txt").read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("kind", ["gz", "bz2"])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_archive_leaves_nothing_behind(tmp_path, kind, damage):
    content = bytearray(tar(kind, {"Top/a": CONTENT}))
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / f"a.tar.{kind}"
    path.write_bytes(content if damage == "flipped" else content[: len(content) // 2])
    with pytest.raises(InputError, match="download it again") as caught:
        unpack(path, "Top", tmp_path / "out")
    assert str(path) in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["../outside", "Top/../../outside", "/tmp/ds2edge-outside"])
def test_an_archive_cannot_write_outside_of_its_folder(tmp_path, name):
    path = tmp_path / "in" / "a.tar"
    path.parent.mkdir()
    path.write_bytes(tar("gz", {"Top/a": b"a", name: b"b"}))
    with pytest.raises(InputError, match="would be written outside of it"):
        unpack(path, "Top", tmp_path / "in" / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "a.tar"]
    assert not os.path.exists("/tmp/ds2edge-outside")


def test_links_in_an_archive_are_left_out(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w:gz") as file:
        link = tarfile.TarInfo("Top/link")
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc"
        file.addfile(link)
        member = tarfile.TarInfo("Top/a")
        file.addfile(member, io.BytesIO())
    unpack(tmp_path / "a.tar", "Top", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


def test_an_archive_of_another_corpus_is_refused(tmp_path):
    (tmp_path / "a.tar").write_bytes(tar("gz", {"Other/a": b"a"}))
    with pytest.raises(InputError, match="has no folder Top in it: not the expected archive"):
        unpack(tmp_path / "a.tar", "Top", tmp_path / "out")
