"""A run of the kit from what a training on a GPU left: import_run.py FINAL.npz RECIPE PIECES.model FOLDER [MANIFEST: dev of it is heard]."""

import json
import sys
from pathlib import Path

import numpy as np

from ds2edge.runtime.specification import Specification
from ds2edge.train.model import DeepSpeech2
from ds2edge.train.recipe import read_recipe
from ds2edge.train.run import Run
from ds2edge.train.symbols import Symbols

arrays = np.load(sys.argv[1])
meta = json.loads(str(arrays["meta"]))
recipe = read_recipe(sys.argv[2])
symbols = Symbols(Path(sys.argv[3]).read_bytes())
assert list(symbols.alphabet) == meta["alphabet"]
facts = {"data": "english", "licence": recipe.licence}
specification = Specification(
    recipe.name, symbols.alphabet, recipe.features,
    tuple(round(x, 3) for x in meta["mean"]), tuple(round(x, 3) for x in meta["deviation"]), training=facts,
)
model = DeepSpeech2(recipe.model, recipe.features.bins, len(symbols.alphabet))
for weight in model.weights:
    weight.assign(arrays[weight.path.replace("/", "|")].astype(np.float32))
run = Run.create(Path(sys.argv[4]), recipe, specification, symbols)
last = meta["log"][-1]
wer = {k: v[0] for k, v in last["wer"].items()}
run.save_epoch(model, [{"epoch": 1, "loss": 0.0, "dev_wer": wer["librispeech_heldout4"], "dev_cer": last["wer"]["librispeech_heldout4"][1], "seconds": last["seconds"]}])
print(run.folder, wer)
