"""`ds2edge web` without a network and without a browser."""

import base64
import hashlib
import http.client
import io
import re
import socket
import tarfile
import urllib.error
import urllib.request

import pytest
from support import GOLDEN

from ds2edge.devices import web_page
from ds2edge.devices.npm import Package
from ds2edge.devices.web_page import serve_folder, write_page
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.pretrained import PRETRAINED

NPM = 'import { createWasmLib } from "@litertjs/wasm-utils";'


def archive(files):
    """A package of npm as it is downloaded."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def npm(monkeypatch):
    """A registry with one package. Returns the addresses that were asked for."""
    content = archive({"dist/index.js": NPM.encode(), "wasm/a.wasm": b"\0asm"})
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    files = {"dist/index.js": "vendor/litert.js", "wasm/a.wasm": "a.wasm"}
    monkeypatch.setattr(web_page, "PACKAGES", (Package("@x/core", "1.0.0", digest, files),))
    asked = []

    def answer(address, timeout):
        asked.append(address)
        return io.BytesIO(content)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    return asked


def test_the_page_is_whole_and_knows_its_addresses(npm, tmp_path):
    write_page(tmp_path, PRETRAINED)
    assert npm == ["https://registry.npmjs.org/@x/core/-/core-1.0.0.tgz"]
    assert (tmp_path / "model.tflite").read_bytes() == PRETRAINED.read_bytes()
    assert (tmp_path / "a.wasm").read_bytes() == b"\0asm"
    assert "./wasm-utils.js" in (tmp_path / "vendor" / "litert.js").read_text()
    scripts = [*(tmp_path / "src").glob("*.js"), *tmp_path.glob("*.js")]
    assert len(scripts) > 20
    for script in scripts:
        for name in re.findall(r'^import .* from "(.*)"', script.read_text(), re.MULTILINE):
            assert name.startswith("."), f"{script}: a browser does not find {name}"
            path = script.parent / name
            assert path.exists() or path.resolve().parent.name == "vendor"


def test_a_second_page_downloads_nothing(npm, tmp_path):
    write_page(tmp_path, PRETRAINED)
    write_page(tmp_path, GOLDEN)
    assert len(npm) == 1


def test_another_model_is_another_version_for_the_browser(npm, tmp_path):
    versions = []
    for model in (PRETRAINED, GOLDEN, GOLDEN):
        write_page(tmp_path, model)
        versions.append(
            re.search('CACHE = "(.*)"', (tmp_path / "service-worker.js").read_text())[1]
        )
    assert versions[0] != versions[1] == versions[2]
    files = re.search('FILES = "(.*)"', (tmp_path / "service-worker.js").read_text())[1].split()
    assert {"app.js", "index.html", "src/index.js"} <= set(files)


def test_a_damaged_download_is_refused(npm, tmp_path, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda address, timeout: io.BytesIO(b"cut"))
    with pytest.raises(InputError, match="the download is damaged"):
        write_page(tmp_path, PRETRAINED)
    assert not list(tmp_path.iterdir())


def test_a_download_that_breaks_off_is_one_line(npm, tmp_path, monkeypatch):
    def fail(address, timeout):
        raise http.client.IncompleteRead(b"cut", 99)

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(InputError, match=r"cannot be downloaded \(IncompleteRead.*: check the"):
        write_page(tmp_path, PRETRAINED)


def test_without_a_network_there_is_one_line(npm, tmp_path, monkeypatch):
    def fail(address, timeout):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(InputError, match=r"no route to host.*: check the network"):
        write_page(tmp_path, PRETRAINED)


def test_the_phrases_of_any_file_are_compiled(npm, tmp_path):
    text, page = tmp_path / "house.txt", tmp_path / "page"
    text.write_text("turn on the light\nturn off the light\n")
    write_page(page, PRETRAINED, text)
    compiled = page / "phrases.ds2ph"
    assert Phrases.load(compiled).grammar.match("turn off the light")
    before = compiled.read_bytes()
    write_page(page, PRETRAINED, compiled)
    assert compiled.read_bytes() == before


def test_phrases_that_the_model_cannot_spell_are_refused(npm, tmp_path):
    phrases = tmp_path / "house.txt"
    phrases.write_text("ж\n")
    with pytest.raises(InputError, match="no symbol for 'ж'"):
        write_page(tmp_path / "page", PRETRAINED, phrases)
    assert not (tmp_path / "page").exists()


def test_a_port_in_use_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} cannot be used"):
            serve_folder(tmp_path, port)


def test_a_folder_that_cannot_be_written_is_named(npm, tmp_path):
    (tmp_path / "page").write_text("a file")
    with pytest.raises(InputError, match="page"):
        write_page(tmp_path / "page", PRETRAINED)
