"""Keras callbacks: evaluation, checkpoints, progress and early stopping."""

from __future__ import annotations

import functools
import logging
import math
import time
from collections.abc import Sequence
from typing import Any

import keras
import rich.console
import rich.progress

from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.errors import InputError
from ds2edge.train.distribution import ALONE, Group
from ds2edge.train.evaluation.batch_decoding import decode_batch
from ds2edge.train.evaluation.scoring import score
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.pipeline.batches import Batches
from ds2edge.train.run import History, Run

log = logging.getLogger("ds2edge")

Logs = dict[str, Any] | None


def transcribe_batches(
    model: DeepSpeech2, batches: Batches, alphabet: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Reference and greedy transcript of every clip, by the whole-sequence model."""
    step_seconds = model.settings.step_seconds(batches.features.settings)
    decoder = functools.partial(GreedyDecoder, alphabet, step_seconds)
    references: list[str] = []
    hypotheses: list[str] = []
    for index in range(len(batches)):
        inputs, _ = batches[index]
        references += batches.texts(index)
        hypotheses += decode_batch(model, inputs, decoder)
    return references, hypotheses


class StopAtNan(keras.callbacks.Callback):
    """Ends the training when the loss is no longer a number. Earlier checkpoints stay."""

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Checks the mean loss of the epoch so far. InputError if it is not finite."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise InputError(
                f"the loss is {loss} at batch {batch + 1}: lower the learning rate, or look for a "
                "bad clip with `ds2edge data check`; earlier epochs are saved"
            )


class Evaluate(keras.callbacks.Callback):
    """Adds WER and CER on dev (greedy) to the figures of each epoch, and keeps the texts."""

    def __init__(self, batches: Batches, alphabet: Sequence[str], group: Group = ALONE) -> None:
        super().__init__()
        self.batches = batches
        self.alphabet = alphabet
        self.group = group
        self.references: list[str] = []
        self.hypotheses: list[str] = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Transcribes the dev split. Later callbacks see the figures in `logs`."""
        self.references, self.hypotheses = transcribe_batches(
            self.model, self.batches, self.alphabet
        )
        result = score(self.references, self.hypotheses)
        if logs is not None:
            wer, cer = self.group.broadcast_from_leader([result.wer, result.cer])
            logs.update(dev_wer=round(wer, 3), dev_cer=round(cer, 3))


class Checkpoint(keras.callbacks.Callback):
    """Saves every epoch together with the figures of all epochs so far."""

    def __init__(self, run: Run, history: History, group: Group = ALONE) -> None:
        super().__init__()
        self.run = run
        self.history = history
        self.group = group

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Starts the clock."""
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Adds the epoch to the history and saves it. InputError if the disk is full."""
        logs = logs or {}
        self.history.append(
            {
                "epoch": epoch + 1,
                "loss": round(float(logs["loss"]), 5),
                "dev_wer": logs["dev_wer"],
                "dev_cer": logs["dev_cer"],
                "seconds": round(time.monotonic() - self.started, 1),
            }
        )
        if self.group.leads:
            with self.group.alone():
                self.run.save_epoch(self.model, self.history)


class StopEarly(keras.callbacks.Callback):
    """Ends the training after `patience` epochs without a better WER, also across a resumption."""

    def __init__(self, history: History, patience: int) -> None:
        super().__init__()
        self.history = history
        self.patience = patience

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Stops the training if patience has run out."""
        if epochs_without_gain(self.history) >= self.patience:
            log.info("no better WER for %d epochs: training stops", self.patience)
            self.model.stop_training = True


def epochs_without_gain(history: History) -> int:
    """Epochs since the best dev WER."""
    if not history:
        return 0
    return len(history) - 1 - min(range(len(history)), key=lambda i: history[i]["dev_wer"])


class Progress(keras.callbacks.Callback):
    """A progress bar on a terminal, and one line per epoch everywhere."""

    def __init__(self, batches: Batches, history: History) -> None:
        super().__init__()
        self.batches = batches
        self.history = history
        console = rich.console.Console(stderr=True)
        self.bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.TextColumn(
                "loss {task.fields[loss]:.3f}, {task.fields[speed]:.0f} clips/s"
            ),
            rich.progress.TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Shows an empty bar."""
        self.started = time.monotonic()
        self.clips = 0
        previous = f", WER {self.history[-1]['dev_wer']:.1f} %" if self.history else ""
        description = f"epoch {epoch + 1} of {self.params['epochs']}{previous}"
        self.task = self.bar.add_task(description, total=len(self.batches), loss=0.0, speed=0.0)
        self.bar.start()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Moves the bar."""
        self.clips += self.batches.sizes[0]
        self.bar.update(
            self.task,
            completed=batch + 1,
            loss=(logs or {}).get("loss", 0.0),
            speed=min(self.clips, len(self.batches.drawn)) / (time.monotonic() - self.started),
        )

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Removes the bar and logs the figures, which the evaluation has added to."""
        self.bar.stop()
        self.bar.remove_task(self.task)
        logs = logs or {}
        epochs = self.params["epochs"]
        seconds = time.monotonic() - self.started
        log.info(
            "epoch %d of %d: loss %.4f, dev WER %.2f %%, CER %.2f %%, %.0f clips/s, %.0f s, "
            "about %.0f min left",
            epoch + 1,
            epochs,
            logs["loss"],
            logs["dev_wer"],
            logs["dev_cer"],
            len(self.batches.drawn) / seconds,
            seconds,
            seconds * (epochs - epoch - 1) / 60,
        )

    def on_train_end(self, logs: Logs = None) -> None:
        """Removes a bar that an exception left."""
        self.bar.stop()
