"""Files that are read or written whole."""

import errno
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ds2edge.runtime.decoding.language_model import LanguageModel
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.files import MAX_EXPANDED_BYTES, refuse_zip_bomb, write_whole
from ds2edge.runtime.phrases.phrases import Phrases


def bomb() -> bytes:
    """A small file that would expand to twice what is allowed."""
    file = io.BytesIO()
    np.savez_compressed(file, format=1, vocabulary=np.zeros(2 * MAX_EXPANDED_BYTES, np.uint8))
    return file.getvalue()


def test_a_zip_that_expands_far_beyond_its_size_is_refused(tmp_path):
    with pytest.raises(zipfile.BadZipFile, match="would expand"):
        refuse_zip_bomb(zipfile.ZipFile(io.BytesIO(bomb())))
    (tmp_path / "a.ds2lm").write_bytes(bomb())
    with pytest.raises(InputError, match="not a language model"):
        LanguageModel.load(tmp_path / "a.ds2lm")
    (tmp_path / "a.ds2ph").write_bytes(bomb())
    with pytest.raises(InputError, match="not made by"):
        Phrases.load(tmp_path / "a.ds2ph")


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path, monkeypatch):
    write = Path.write_bytes

    def fill(path: Path, content: bytes) -> None:
        write(path, content[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(InputError, match="No space left on device"):
        write_whole(tmp_path / "a", "text")
    assert not list(tmp_path.iterdir())


def test_an_ordinary_zip_is_no_bomb():
    file = io.BytesIO()
    np.savez_compressed(file, numbers=np.random.default_rng(0).integers(0, 9, 5 << 20))
    refuse_zip_bomb(zipfile.ZipFile(file))
