"""Files of packages of npm, for pages that run in a browser."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException

from ds2edge.runtime.errors import InputError

REGISTRY = "https://registry.npmjs.org"
SECONDS = 60  # without an answer, before a download is given up


@dataclass(frozen=True)
class Package:
    """A version of a package, and the files of it that are needed."""

    name: str
    version: str
    sha512: str  # of the archive, in base64, as npm states it
    files: dict[str, str]  # path in the package -> path on the page

    @property
    def address(self) -> str:
        """Address of the archive."""
        file = f"{self.name.rpartition('/')[2]}-{self.version}.tgz"
        return f"{REGISTRY}/{self.name}/-/{file}"

    def download(self) -> Iterator[tuple[str, bytes]]:
        """Yields path on the page and content. InputError if they cannot be had, or are damaged."""
        try:
            with urllib.request.urlopen(self.address, timeout=SECONDS) as response:
                archive = response.read()
        except (OSError, HTTPException) as error:
            raise InputError(
                f"{self.address}: cannot be downloaded ({error}): check the network, then try again"
            ) from None
        if base64.b64encode(hashlib.sha512(archive).digest()).decode() != self.sha512:
            raise InputError(f"{self.address}: the download is damaged: try again")
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for source, target in self.files.items():
                member = tar.extractfile(f"package/{source}")
                assert member is not None  # the checksum vouches for the content
                yield target, member.read()
