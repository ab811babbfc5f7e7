"""What happens beside the training steps: evaluation, checkpoints, progress, curves, early ends."""

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

from ds2edge.runtime.decoding.ctc import GreedyDecoder
from ds2edge.runtime.errors import InputError
from ds2edge.train.distribution import ALONE, Group
from ds2edge.train.evaluation.batch_decoding import decode_batch
from ds2edge.train.evaluation.scoring import score
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.pipeline.batches import Batches
from ds2edge.train.run import Run

log = logging.getLogger("ds2edge")

History = list[dict[str, Any]]  # figures of each epoch
Logs = dict[str, Any] | None


def transcribe_batches(
    model: DeepSpeech2, batches: Batches, alphabet: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Reference and greedy text of every clip, by the whole-sequence model."""
    references: list[str] = []
    hypotheses: list[str] = []
    settings = batches.features.settings
    step_seconds = model.settings.time_stride * settings.hop / settings.sample_rate
    decoder = functools.partial(GreedyDecoder, alphabet, step_seconds)
    for index in range(len(batches)):
        inputs, _ = batches[index]
        references += batches.texts(index)
        hypotheses += decode_batch(model, inputs, decoder)
    return references, hypotheses


class StopAtNan(keras.callbacks.Callback):
    """Ends the training when the loss is no longer a number; the checkpoint of the epoch before stays."""

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Keras calls this with the mean loss of the epoch so far."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise InputError(
                f"the loss is {loss} at batch {batch + 1}: lower the learning rate, or look for a bad clip with "
                "`ds2edge data check`; the epochs before are kept"
            )


class Evaluate(keras.callbacks.Callback):
    """Adds greedy WER and CER on the dev split to the figures of each epoch, and keeps the texts for others to show."""

    def __init__(self, batches: Batches, alphabet: Sequence[str], group: Group = ALONE) -> None:
        super().__init__()
        self.batches, self.alphabet, self.group = batches, alphabet, group
        self.references: list[str] = []
        self.hypotheses: list[str] = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Keras calls this; callbacks after this one see the figures."""
        self.references, self.hypotheses = transcribe_batches(
            self.model, self.batches, self.alphabet
        )
        result = score(self.references, self.hypotheses)
        if logs is not None:
            wer, cer = self.group.broadcast_from_leader([result.wer, result.cer])
            logs.update(dev_wer=round(wer, 3), dev_cer=round(cer, 3))


class Checkpoint(keras.callbacks.Callback):
    """Saves every epoch, with the figures of all so far."""

    def __init__(self, run: Run, history: History, group: Group = ALONE) -> None:
        super().__init__()
        self.run, self.history, self.group = run, history, group

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Keras calls this."""
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Keras calls this."""
        logs = logs or {}
        figures = {"epoch": epoch + 1, "loss": round(float(logs["loss"]), 5)}
        figures |= {key: logs[key] for key in ("dev_wer", "dev_cer")}
        self.history.append({**figures, "seconds": round(time.monotonic() - self.started, 1)})
        if self.group.leads:
            with self.group.alone():
                self.run.save_epoch(self.model, self.history)


class StopEarly(keras.callbacks.Callback):
    """Ends the training after `patience` epochs without a better WER; those before a resumption count."""

    def __init__(self, history: History, patience: int) -> None:
        super().__init__()
        self.history, self.patience = history, patience

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Keras calls this."""
        if stale(self.history) >= self.patience:
            log.info("no better WER for %d epochs: training ends", self.patience)
            self.model.stop_training = True


def stale(history: History) -> int:
    """Epochs since the best dev WER."""
    if not history:
        return 0
    return len(history) - 1 - min(range(len(history)), key=lambda i: history[i]["dev_wer"])


class Progress(keras.callbacks.Callback):
    """A bar on a terminal; one line an epoch anywhere."""

    def __init__(self, batches: Batches, history: History) -> None:
        super().__init__()
        self.batches, self.history = batches, history
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
        """Keras calls this."""
        self.started, self.clips = time.monotonic(), 0
        last = f", WER {self.history[-1]['dev_wer']:.1f} %" if self.history else ""
        description = f"epoch {epoch + 1} of {self.params['epochs']}{last}"
        self.task = self.bar.add_task(description, total=len(self.batches), loss=0.0, speed=0.0)
        self.bar.start()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Keras calls this."""
        self.clips += self.batches.sizes[0]
        self.bar.update(
            self.task,
            completed=batch + 1,
            loss=(logs or {}).get("loss", 0.0),
            speed=min(self.clips, len(self.batches.examples)) / (time.monotonic() - self.started),
        )

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Keras calls this, after the evaluation."""
        self.bar.stop()
        self.bar.remove_task(self.task)
        logs, seconds = logs or {}, time.monotonic() - self.started
        clips = len(self.batches.examples)
        left = seconds * (self.params["epochs"] - epoch - 1)
        log.info(
            "epoch %d of %d: loss %.4f, dev WER %.2f %%, CER %.2f %%, %.0f clips/s, %.0f s, about %.0f min left",
            epoch + 1,
            self.params["epochs"],
            logs["loss"],
            logs["dev_wer"],
            logs["dev_cer"],
            clips / seconds,
            seconds,
            left / 60,
        )

    def on_train_end(self, logs: Logs = None) -> None:
        """Keras calls this."""
        self.bar.stop()
