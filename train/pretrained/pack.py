"""The best epoch of a run without its optimizer, which only resuming needs: a third of the size. pack.py RUN FOLDER"""

import shutil
import sys
import zipfile
from pathlib import Path

import keras

import ds2edge.train.model  # noqa: F401  Keras finds the class by its registration
from ds2edge.train.run import HISTORY, Run

run, folder = Run.open(sys.argv[1]), Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
packed = folder / run.best.name
keras.saving.load_model(run.best, compile=False).save(packed)
with zipfile.ZipFile(run.best) as source, zipfile.ZipFile(packed, "a") as target:
    target.writestr(HISTORY, source.read(HISTORY))
for name in ("recipe.json", "specification.json"):
    shutil.copyfile(run.folder / name, folder / name)
print(f"{packed}: {packed.stat().st_size / 1e6:.2f} MB")
