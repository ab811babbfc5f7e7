"""Packs the best epoch of a run into a small folder to ship: pack.py RUN FOLDER

The checkpoint has no optimizer, which only resuming needs. Its weights are rounded to float16,
which halves their compressed size.
"""

import io
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np

from ds2edge.train.run import HISTORY, PIECES, Run


def main() -> None:
    """Packs the run that the command line names."""
    packed = pack_run(Run.open(sys.argv[1]), Path(sys.argv[2]))
    print(f"{packed}: {packed.stat().st_size / 1e6:.2f} MB")


def pack_run(run: Run, folder: Path) -> Path:
    """Writes the best checkpoint of a run and what belongs to it. Returns the checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    packed = folder / run.best.name
    pack(run, packed)
    for name in ("recipe.json", "specification.json", PIECES):
        if (run.folder / name).exists():
            shutil.copyfile(run.folder / name, folder / name)
    return packed


def pack(run: Run, packed: Path) -> None:
    """Writes the best checkpoint of a run, small, to the file `packed`."""
    model = run.best_model()
    for weight in model.weights:
        weight.assign(np.asarray(weight).astype(np.float16).astype(np.float32))
    with zipfile.ZipFile(run.best) as archive:
        history = archive.read(HISTORY)
    part = packed.with_name("packing.keras")
    model.save(part)
    with (
        zipfile.ZipFile(io.BytesIO(part.read_bytes())) as source,
        zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
        target.writestr(HISTORY, history)
    part.replace(packed)


if __name__ == "__main__":
    main()
