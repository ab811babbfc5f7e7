"""`ds2edge web`: writes a page that transcribes in the browser, with a model in it."""

from __future__ import annotations

import functools
import hashlib
import http.server
from pathlib import Path

import click

from ds2edge.devices.npm import Package
from ds2edge.runtime.commands.options import model_option
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import write_whole
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.specification import read_specification

SOURCES = Path(__file__).with_name("web")
# LiteRT.js looks for its .wasm beside the worker that loads it.
WASM = (
    "litert_wasm_internal.js",
    "litert_wasm_internal.wasm",
    "litert_wasm_compat_internal.js",
    "litert_wasm_compat_internal.wasm",
)
PACKAGES = (
    Package(
        "@litertjs/core",
        "2.5.3",
        "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
        {
            "dist/index.js": "vendor/litert.js",
            **{f"wasm/{name}": name for name in WASM},
        },
    ),
    Package(
        "@litertjs/wasm-utils",
        "2.5.3",
        "4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
        {"dist/index.js": "vendor/wasm-utils.js"},
    ),
    Package(
        "fflate",
        "0.8.2",
        "cPJU47OaAoCbg0pBvzsgpTPhmhqI5eJjh/JIu8tPj5q+T7iLvW/JAYUqmE7KOB4R1ZyEhzBaIQpQpardBF5z8A==",
        {"esm/browser.js": "vendor/fflate.js"},
    ),
)
VERSIONS = "".join(f"{package.name} {package.version}\n" for package in PACKAGES).encode()
VENDOR_SCRIPTS = ("vendor/litert.js", "vendor/wasm-utils.js", "vendor/fflate.js")
LARGE = ("model.tflite", "phrases.ds2ph")  # the page asks for them itself, with a message
# A browser needs addresses where the packages import by name.
ADDRESSES = {
    b'"@litertjs/core"': b'"../vendor/litert.js"',
    b'"@litertjs/wasm-utils"': b'"./wasm-utils.js"',
    b'"fflate"': b'"../vendor/fflate.js"',
}


@click.command()
@model_option
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder to write the page to.",
)
@click.option(
    "--phrases",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="All that may be said, as for `ds2edge transcribe`.",
)
@click.option("--serve", is_flag=True, help="Then serve the page on this machine, to try it.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port for --serve; 0 chooses a free one.",
)
def web(model: Path, folder: Path, phrases: Path | None, serve: bool, port: int) -> None:
    """Write a web page that transcribes in the browser.

    The first time, this downloads LiteRT.js (12 MB) from npm. Copy the folder to any web server
    that has https. The page then works without a network, too.
    """
    write_page(folder, model, phrases)
    click.echo(f"{folder}: the page is ready")
    if serve:
        serve_folder(folder, port)


def write_page(folder: Path, model: Path, phrases: Path | None = None) -> None:
    """Writes the page to `folder`. InputError for a model or phrases that it cannot use."""
    specification = read_specification(model)
    specification.require_streaming(model)
    files = {"model.tflite": model.read_bytes(), "phrases.ds2ph": b""}
    if phrases:
        loaded = Phrases.load(phrases)
        loaded.graph(specification.alphabet)  # has the model all letters?
        files["phrases.ds2ph"] = loaded.to_bytes()
    files |= {path.name: path.read_bytes() for path in (SOURCES / "page").iterdir()}
    files |= {f"src/{path.name}": path.read_bytes() for path in (SOURCES / "src").glob("*.js")}
    vendor = _packages(folder)
    files["service-worker.js"] = _service_worker(files)
    for name, bytes_ in (vendor | files).items():
        write_whole(folder / name, _with_addresses(bytes_) if name.endswith(".js") else bytes_)


def _service_worker(files: dict[str, bytes]) -> bytes:
    """The script that keeps the page offline, for one version of the other files."""
    version = hashlib.sha256(VERSIONS + b"".join(files[name] for name in sorted(files)))
    small = [name for name in sorted(files) if name != "service-worker.js" and name not in LARGE]
    script = files["service-worker.js"].replace(b"@VERSION@", version.hexdigest()[:16].encode())
    return script.replace(b"@FILES@", " ".join([*small, *VENDOR_SCRIPTS]).encode())


def _packages(folder: Path) -> dict[str, bytes]:
    """The files of all packages that the folder lacks. A mark names the versions that it has."""
    mark = "vendor/packages.txt"
    if (folder / mark).is_file() and (folder / mark).read_bytes() == VERSIONS:
        return {}
    files: dict[str, bytes] = {}
    for package in PACKAGES:
        click.echo(f"downloading {package.name} {package.version}", err=True)
        files |= dict(package.download())
    return files | {mark: VERSIONS}


def _with_addresses(script: bytes) -> bytes:
    for name, address in ADDRESSES.items():
        script = script.replace(b"from " + name, b"from " + address)
    return script


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line in the log for each. The browser asks anew each time."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def serve_folder(folder: Path, port: int) -> None:
    """Serves a folder to this machine until Ctrl-C. InputError if the port is not free."""
    handler = functools.partial(_Handler, directory=str(folder))
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise InputError(
            f"port {port} cannot be used ({error.strerror}): choose another one with --port"
        ) from None
    with server:
        click.echo(f"http://localhost:{server.server_port}  (Ctrl-C stops)")
        server.serve_forever()
