"""TensorBoard files of a training."""

from __future__ import annotations

import time

import keras
import numpy as np
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import image, scalar, text

from ds2edge.runtime.errors import InputError
from ds2edge.train.callbacks import Evaluate, Logs
from ds2edge.train.run import History, Run

SAMPLES = 3  # clips of dev whose transcripts and spectrograms are shown


class Curves(keras.callbacks.Callback):
    """Figures of every epoch, and for some clips of dev the two texts and the spectrogram.

    tensorboardX writes the file under every backend; Keras's own callback needs tensorflow. Its
    SummaryWriter is not used: it writes in a thread that `flush` does not wait for, and that blocks
    the training after a full disk.
    """

    def __init__(self, run: Run, evaluate: Evaluate, history: History) -> None:
        super().__init__()
        self.run = run
        self.evaluate = evaluate
        self.history = history

    def on_train_begin(self, logs: Logs = None) -> None:
        """Opens one file for this training, or for this part of a resumed one."""
        done = len(self.history)
        self.run.tensorboard.mkdir(exist_ok=True)
        self.writer = EventsWriter(str(self.run.tensorboard / "events"), f".{done}")
        # TensorBoard now drops later epochs of older files: they were shown, but not saved.
        self.writer.write_event(
            Event(step=done + 1, session_log=SessionLog(status=SessionLog.START))
        )

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Writes the figures, which the evaluation has added to. InputError if the disk is full."""
        summaries = [scalar(name, float(value)) for name, value in (logs or {}).items()]
        summaries.append(text("dev", self._transcripts()))
        if epoch == 0:
            summaries += self._spectrograms()
        try:
            for summary in summaries:
                self.writer.write_event(
                    Event(wall_time=time.time(), step=epoch + 1, summary=summary)
                )
            self.writer.flush()
        except OSError as error:
            raise InputError(
                f"{self.run.tensorboard}: cannot be written ({error.strerror}): make room, then "
                "continue with --resume"
            ) from None

    def on_train_end(self, logs: Logs = None) -> None:
        """Closes the file."""
        self.writer.close()

    def _transcripts(self) -> str:
        pairs = list(zip(self.evaluate.references, self.evaluate.hypotheses, strict=True))
        return "\n\n".join(
            f"reference: {reference}  \nhypothesis: {hypothesis}"
            for reference, hypothesis in pairs[:SAMPLES]
        )

    def _spectrograms(self) -> list[Summary]:
        inputs, _ = self.evaluate.batches[0]
        clips = list(zip(inputs["features"], inputs["lengths"], strict=True))[:SAMPLES]
        # Black is two standard deviations below the mean, white is two above.
        pictures = [np.clip((frames[:length].T[::-1] + 2) / 4, 0, 1) for frames, length in clips]
        return [
            image(f"dev {number}", picture[None], dataformats="CHW")
            for number, picture in enumerate(pictures)
        ]
