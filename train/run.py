"""A run: the folder of one training, with its recipe, specification, checkpoints and logs."""

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
from ds2edge.runtime.files import write_whole
from ds2edge.runtime.records import from_dict
from ds2edge.runtime.specification import Specification
from ds2edge.train.data.symbols import Symbols
from ds2edge.train.recipe import Recipe

if TYPE_CHECKING:
    from ds2edge.train.model.deepspeech2 import DeepSpeech2

LAST = "last.keras"
PIECES = "pieces.model"  # the sentencepiece model of a run whose symbols are pieces of words
# The run that the pretrained model was converted from.
PRETRAINED = Path(__file__).with_name("pretrained")
# File inside a checkpoint with the figures of all epochs so far. One rename saves both.
HISTORY = "ds2edge_history.json"

History = list[dict[str, Any]]  # figures of each epoch: epoch, loss, dev_wer, dev_cer, seconds


class Run:
    """Paths and files of a run. `create` makes one, `open` finds one. Only loading needs keras."""

    def __init__(self, folder: Path, recipe: Recipe, specification: Specification) -> None:
        self.folder = folder
        self.recipe = recipe
        self.specification = specification
        self.last = folder / LAST  # the newest epoch, with the optimizer's state
        self.best = folder / "best.keras"  # the epoch with the lowest WER on dev
        self.tensorboard = folder / "tensorboard"

    @classmethod
    def create(
        cls,
        folder: Path,
        recipe: Recipe,
        specification: Specification,
        symbols: Symbols | None = None,
    ) -> Run:
        """Makes the folder and writes the files that training does not change.

        `symbols` spell the texts; None is letters. InputError if a file cannot be written.
        """
        if symbols and symbols.pieces:
            write_whole(folder / PIECES, symbols.pieces)
        write_whole(folder / "recipe.json", json.dumps(dataclasses.asdict(recipe), indent=1))
        write_whole(folder / "specification.json", specification.to_json())
        return cls(folder, recipe, specification)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Run:
        """An existing run. `pretrained` is the shipped one, unless a folder has that name.

        InputError if there is no run.
        """
        folder = Path(folder)
        if folder == Path("pretrained") and not folder.exists():
            folder = PRETRAINED
            if not folder.exists():
                raise InputError(
                    "pretrained: this installation leaves out the checkpoint, which only training "
                    "needs. Take it from a checkout: --init-from CHECKOUT/train/pretrained"
                )
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
        """The symbols that spell this run's texts.

        InputError if the piece model cannot be read, or if it does not match the specification.
        """
        path = self.folder / PIECES
        try:
            symbols = Symbols(path.read_bytes() if self.recipe.text.pieces else b"")
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read as a piece model ({error})") from None
        if symbols.alphabet != self.specification.alphabet:
            spelling = PIECES if symbols.pieces else "letters"
            raise InputError(
                f"{self.folder}: the specification has another alphabet than {spelling}"
            )
        return symbols

    def best_model(self) -> DeepSpeech2:
        """Model of the best epoch. InputError if no epoch is finished."""
        return self.load(self.best)

    def best_figures(self) -> dict[str, Any]:
        """Number, WER and CER on dev of the best epoch. InputError as for `best_model`."""
        figures = _read_history(self.best)[-1]
        return {
            "best_epoch": figures["epoch"],
            "dev_wer": figures["dev_wer"],
            "dev_cer": figures["dev_cer"],
        }

    def last_model(self) -> tuple[DeepSpeech2, History]:
        """Model of the newest epoch with its optimizer's state, and the figures of all epochs.

        InputError if no epoch is finished.
        """
        return self.load(self.last, optimizer=True), _read_history(self.last)

    def load(self, path: Path, *, optimizer: bool = False) -> DeepSpeech2:
        """Model of a checkpoint of this run. InputError if it is missing or cannot be read.

        `optimizer`: also loads the optimizer, which the backend must know that trained the run.
        """
        _require_checkpoint(path)
        import keras

        # Importing these modules registers the classes that a checkpoint names.
        import ds2edge.train.model.deepspeech2
        import ds2edge.train.schedule  # noqa: F401

        try:
            model: DeepSpeech2 = keras.saving.load_model(path, compile=optimizer)
        except (ValueError, OSError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise _unreadable(path, error) from None
        return model

    def save_epoch(self, model: DeepSpeech2, history: History) -> None:
        """Saves the newest epoch, also as best.keras if it is the best. No file is half written.

        InputError if the disk is full: earlier checkpoints stay.
        """
        try:
            self._save_checkpoints(model, history)
            self._save_log(history)
        except OSError as error:
            reason = error.strerror or str(error).splitlines()[0]
            raise InputError(
                f"{self.folder}: epoch {len(history)} cannot be saved ({reason}): make room, then "
                "continue with --resume"
            ) from None

    def _save_checkpoints(self, model: DeepSpeech2, history: History) -> None:
        newest = len(history) - 1
        ranked = sorted(
            range(len(history)), key=lambda i: (history[i]["dev_wer"], history[i]["dev_cer"])
        )
        settings = self.recipe.training
        best = {self._epoch(i + 1) for i in ranked[: settings.keep_best]}
        saving = self.folder / "saving.keras"
        model.save(saving)
        with zipfile.ZipFile(saving, "a") as archive:
            archive.writestr(HISTORY, json.dumps(history))
        if ranked[0] == newest:
            self._copy(saving, self.best)
        if settings.keep_best > 1 and newest in ranked[: settings.keep_best]:
            self._copy(saving, self._epoch(newest + 1))
        saving.replace(self.last)
        for path in set(self.folder.glob("epoch-*.keras")) - best:
            path.unlink()

    def _copy(self, source: Path, target: Path) -> None:
        copy = self.folder / "saving-best.keras"
        shutil.copyfile(source, copy)
        copy.replace(target)

    def _save_log(self, history: History) -> None:
        part = self.folder / "log.csv.part"
        with part.open("w", newline="") as file:
            writer = csv.DictWriter(file, history[0].keys())
            writer.writeheader()
            writer.writerows(history)
        part.replace(self.folder / "log.csv")

    def _epoch(self, number: int) -> Path:
        return self.folder / f"epoch-{number:03d}.keras"


def _require_checkpoint(path: Path) -> None:
    if not path.is_file():
        raise InputError(
            f"{path.parent}: has no {path.name}, because no epoch is finished: train it again, "
            "without --resume"
        )


def _read_history(checkpoint: Path) -> History:
    _require_checkpoint(checkpoint)
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            history: History = json.loads(archive.read(HISTORY))
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise _unreadable(checkpoint, error) from None
    return history


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return InputError(f"{path}: cannot be read as a checkpoint ({reason})")
