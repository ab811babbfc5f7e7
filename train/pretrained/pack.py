"""The best epoch of a run, small enough to ship: pack.py RUN FOLDER

Without the optimizer, which only resuming needs, and with weights rounded to float16, which deflate to half their size.
"""

import io
import shutil
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np

import ds2edge.train.model.deepspeech2  # noqa: F401  Keras finds the class by its registration
from ds2edge.train.run import HISTORY, PIECES, Run

run, folder = Run.open(sys.argv[1]), Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
packed = folder / run.best.name
model = keras.saving.load_model(run.best, compile=False)
for weight in model.weights:
    weight.assign(np.asarray(weight).astype(np.float16).astype(np.float32))
with zipfile.ZipFile(run.best) as archive:
    history = archive.read(HISTORY)
beside = packed.with_name("packing.keras")
model.save(beside)
with (
    zipfile.ZipFile(io.BytesIO(beside.read_bytes())) as source,
    zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target,
):
    for name in source.namelist():
        target.writestr(name, source.read(name))
    target.writestr(HISTORY, history)
beside.replace(packed)
for name in ("recipe.json", "specification.json", PIECES):
    if (run.folder / name).exists():
        shutil.copyfile(run.folder / name, folder / name)
print(f"{packed}: {packed.stat().st_size / 1e6:.2f} MB")
