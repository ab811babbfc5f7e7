"""What TensorBoard shows of a training."""

from __future__ import annotations

import time

import keras
import numpy as np
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import image, scalar, text

from ds2edge.runtime.errors import InputError
from ds2edge.train.callbacks import Evaluate, History, Logs
from ds2edge.train.run import Run

SAMPLES = 3  # clips of dev whose transcripts and spectrograms are shown


class Curves(keras.callbacks.Callback):
    """Figures of every epoch; for some clips of dev what was said, what was heard, and the spectrogram.

    tensorboardX makes the file under every backend; Keras's own callback needs tensorflow. Not by its SummaryWriter:
    that one writes in a thread, which `flush` does not wait for, and which blocks all after it has met a full disk.
    """

    def __init__(self, run: Run, evaluate: Evaluate, history: History) -> None:
        super().__init__()
        self.run, self.evaluate, self.history = run, evaluate, history

    def on_train_begin(self, logs: Logs = None) -> None:
        """Keras calls this. One file from here to the end, or until the training is resumed."""
        done = len(self.history)
        self.run.tensorboard.mkdir(exist_ok=True)
        self.writer = EventsWriter(str(self.run.tensorboard / "events"), f".{done}")
        # TensorBoard forgets what older files say of the epochs from here on: they were shown, but not saved.
        self.writer.write_event(
            Event(step=done + 1, session_log=SessionLog(status=SessionLog.START))
        )

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Keras calls this, after the evaluation. InputError if the disk is full."""
        shown = [scalar(name, float(value)) for name, value in (logs or {}).items()]
        shown += [text("dev", self._transcripts()), *(self._spectrograms() if epoch == 0 else [])]
        try:
            for summary in shown:
                self.writer.write_event(
                    Event(wall_time=time.time(), step=epoch + 1, summary=summary)
                )
            self.writer.flush()
        except OSError as error:
            raise InputError(
                f"{self.run.tensorboard}: cannot be written ({error.strerror}): make room, then go on "
                "with --resume"
            ) from None

    def on_train_end(self, logs: Logs = None) -> None:
        """Keras calls this."""
        self.writer.close()

    def _transcripts(self) -> str:
        pairs = list(zip(self.evaluate.references, self.evaluate.hypotheses, strict=True))[:SAMPLES]
        return "\n\n".join(f"said: {said}  \nheard: {heard}" for said, heard in pairs)

    def _spectrograms(self) -> list[Summary]:
        inputs, _ = self.evaluate.batches[0]
        clips = list(zip(inputs["features"], inputs["lengths"], strict=True))[:SAMPLES]
        # Two deviations about the mean, from black to white.
        pictures = [np.clip((frames[:length].T[::-1] + 2) / 4, 0, 1) for frames, length in clips]
        return [
            image(f"dev {number}", picture[None], dataformats="CHW")
            for number, picture in enumerate(pictures)
        ]
