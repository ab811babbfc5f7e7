"""A run: the folder in which one training keeps its recipe, specification, checkpoints and logs."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.records import from_dict
from ds2edge.runtime.specification import Specification
from ds2edge.train.data.symbols import Symbols
from ds2edge.train.files import write_whole
from ds2edge.train.recipe import Recipe

if TYPE_CHECKING:  # keras takes seconds to import: bad input is refused before
    from ds2edge.train.model.deepspeech2 import DeepSpeech2

LAST = "last.keras"
PIECES = "pieces.model"  # of sentencepiece: how a run whose symbols are pieces spells its texts
PRETRAINED = Path(__file__).with_name(
    "pretrained"
)  # the run that the runtime's model was converted from
HISTORY = "ds2edge_history.json"  # inside a checkpoint: figures of every epoch so far, so that one rename saves all


class Run:
    """Paths and files of a run; made by `create`, opened by `open`."""

    def __init__(self, folder: Path, recipe: Recipe, specification: Specification) -> None:
        self.folder, self.recipe, self.specification = folder, recipe, specification
        self.last = folder / LAST  # newest epoch, with the optimizer's state
        self.best = folder / "best.keras"  # epoch of the lowest WER on dev
        self.tensorboard = folder / "tensorboard"

    @classmethod
    def create(
        cls,
        folder: Path,
        recipe: Recipe,
        specification: Specification,
        symbols: Symbols | None = None,
    ) -> Run:
        """Makes the folder and writes what will not change during training. InputError if it cannot be written.

        `symbols`: of the specification; letters by default.
        """
        if symbols and symbols.pieces:
            write_whole(folder / PIECES, symbols.pieces)
        write_whole(folder / "recipe.json", json.dumps(dataclasses.asdict(recipe), indent=1))
        write_whole(folder / "specification.json", specification.to_json())
        return cls(folder, recipe, specification)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Run:
        """An existing run; `pretrained` is the kit's own, unless a folder is called so. InputError if there is none."""
        folder = Path(folder)
        if folder == Path("pretrained") and not folder.exists():
            folder = PRETRAINED
        try:
            recipe = json.loads((folder / "recipe.json").read_text("utf-8"))
            specification = (folder / "specification.json").read_text("utf-8")
        except (OSError, ValueError) as error:
            raise InputError(f"{folder}: not a run of `ds2edge train` ({error})") from None
        return cls(
            folder,
            from_dict(Recipe, recipe, f"{folder}/recipe.json"),
            Specification.from_json(specification, f"{folder}/specification.json"),
        )

    def symbols(self) -> Symbols:
        """How this run spells its texts. InputError if what it keeps of that cannot be read or is another run's."""
        path = self.folder / PIECES
        try:
            symbols = Symbols(path.read_bytes() if self.recipe.text.pieces else b"")
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read as a piece model ({error})") from None
        if symbols.alphabet != self.specification.alphabet:
            raise InputError(
                f"{self.folder}: the specification has another alphabet than {PIECES} or, without it, letters"
            )
        return symbols

    def best_model(self) -> DeepSpeech2:
        """Model of the best epoch. InputError if training has not come that far."""
        return self.load(self.best)

    def best_figures(self) -> dict[str, Any]:
        """Which epoch `best_model` is of, and its WER and CER on dev. InputError as `load`."""
        figures = _read_json(self.best, HISTORY)[-1]
        return {
            "best_epoch": figures["epoch"],
            "dev_wer": figures["dev_wer"],
            "dev_cer": figures["dev_cer"],
        }

    def has_ranges(self) -> bool:
        """Whether the best epoch holds int8 ranges, as after `ds2edge train --qat`.

        Needs no keras. InputError as `load`.
        """
        return bool(_read_json(self.best, "config.json")["config"].get("ranges"))

    def last_model(self) -> tuple[DeepSpeech2, list[dict[str, Any]]]:
        """Model of the newest epoch, compiled with its optimizer's state, and the figures of all epochs so far."""
        model = self.load(self.last)
        with zipfile.ZipFile(self.last) as archive:
            return model, json.loads(archive.read(HISTORY))

    def save_epoch(self, model: DeepSpeech2, history: list[dict[str, Any]]) -> None:
        """Saves the newest epoch, and keeps it if it is among the best; each file appears whole or not at all.

        InputError if the disk is full: what was saved before is still there to go on from.
        """
        try:
            self._save(model, history)
        except OSError as error:
            reason = error.strerror or str(error).splitlines()[0]
            raise InputError(
                f"{self.folder}: epoch {len(history)} cannot be saved ({reason}): make room, then go on "
                "with --resume"
            ) from None

    def _save(self, model: DeepSpeech2, history: list[dict[str, Any]]) -> None:
        ranked = sorted(
            range(len(history)), key=lambda i: (history[i]["dev_wer"], history[i]["dev_cer"])
        )
        kept = {self._epoch(i + 1) for i in ranked[: self.recipe.training.keep_best]}
        beside = self.folder / "saving.keras"
        model.save(beside)
        with zipfile.ZipFile(beside, "a") as archive:
            archive.writestr(HISTORY, json.dumps(history))
        copies = [self.best] if ranked[0] == len(history) - 1 else []
        if self.recipe.training.keep_best > 1 and self._epoch(len(history)) in kept:
            copies.append(self._epoch(len(history)))
        for path in copies:
            copy = self.folder / "saving-best.keras"
            shutil.copyfile(beside, copy)
            copy.replace(path)
        beside.replace(self.last)
        for path in set(self.folder.glob("epoch-*.keras")) - kept:
            path.unlink()
        rows = self.folder / "log.csv.part"
        with rows.open("w", newline="") as file:
            writer = csv.DictWriter(file, history[0].keys())
            writer.writeheader()
            writer.writerows(history)
        rows.replace(self.folder / "log.csv")

    def _epoch(self, number: int) -> Path:
        return self.folder / f"epoch-{number:03d}.keras"

    def load(self, path: Path) -> DeepSpeech2:
        """Model of a checkpoint of this run. InputError if it is missing or cannot be read."""
        _require_checkpoint(path)
        import keras

        import ds2edge.train.model.deepspeech2  # registers the class that the file names

        try:
            model: DeepSpeech2 = keras.saving.load_model(path)
        except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{path}: cannot be read as a checkpoint ({str(error).splitlines()[0]})"
            ) from None
        return model


def _require_checkpoint(path: Path) -> None:
    if not path.is_file():
        raise InputError(
            f"{path.parent}: no epoch of it was finished: train it again, without --resume"
        )


def _read_json(path: Path, member: str) -> Any:
    """A JSON file inside a checkpoint. InputError if it cannot be read."""
    _require_checkpoint(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(member))
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read as a checkpoint ({error})") from None
