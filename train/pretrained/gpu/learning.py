"""The training loop on the GPU: steps, averaged weights, evaluation and checkpoints."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any

import click
import keras
import torch
from clips import Drawing, Rows
from sound import Augmenter
from torch import Tensor

from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.errors import InputError
from ds2edge.train.evaluation.scoring import Score, score
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.run import Run

WARMUP = 400  # steps in which the learning rate rises
FLAT = 0.4  # share of the time at the full learning rate; then it falls linearly
AVERAGE = 0.999  # momentum of the averaged weights
DRAWN_BATCHES = 100  # drawn, and sorted by length, together
LOG_STEPS = 1000  # steps between two lines of the log


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of the command line."""

    minutes: float
    steps: int  # after which the training ends; 0: it ends after the minutes
    batch_seconds: float
    rate: float  # learning rate
    consistency: float  # weight of the second loss; 0: none
    synthetic_share: float
    judge_minutes: float  # between two evaluations
    seed: int


class Training:
    """One training: its model, averaged weights, optimizer and speech."""

    def __init__(
        self,
        run: Run,
        model: DeepSpeech2,
        augmenter: Augmenter,
        drawing: Drawing,
        options: Options,
    ) -> None:
        """`augmenter` and `drawing` must hold the same speech."""
        self.run = run
        self.model = model
        self.augmenter = augmenter
        self.options = options
        self.drawing = drawing
        self.speech = augmenter.speech
        self.weights = [variable.value for variable in model.trainable_weights]
        self.values = [variable.value for variable in model.weights]
        self.averages = [value.detach().float().clone() for value in self.values]
        shape = (run.recipe.model, run.recipe.features.bins, len(run.specification.alphabet))
        keras.config.set_dtype_policy("float32")
        self.averaged_model = DeepSpeech2(*shape)
        decay = run.recipe.training.weight_decay
        groups = [
            {"params": [v for v in self.weights if v.ndim > 1], "weight_decay": decay},
            {"params": [v for v in self.weights if v.ndim <= 1], "weight_decay": 0.0},
        ]
        fused = augmenter.device.type == "cuda"
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), fused=fused)
        self.step = 0
        self.seconds_trained = 0.0  # of audio
        self.loss = math.nan  # of the last step when it was last read
        self.device_loss = torch.zeros(())  # of the last step; reading it waits for the GPU
        self.history: list[dict[str, Any]] = []

    def learn(self) -> None:
        """Trains for the options' time or steps; evaluates and saves at intervals."""
        began = evaluated = time.monotonic()
        options = self.options
        batches: list[Rows] = []
        while (share := self._share(began)) < 1:
            if not batches:
                batches = self.drawing.draw(DRAWN_BATCHES, options.batch_seconds)
            self._update(batches.pop(), share)
            now = time.monotonic()
            if self.step in (20, 100, 300) or self.step % LOG_STEPS == 0:
                self._log(now - began)
            if now - evaluated > 60 * options.judge_minutes:
                self.save_epoch(now - began)
                evaluated = time.monotonic()
        self.save_epoch(time.monotonic() - began)

    def _share(self, began: float) -> float:
        """The share of the training that is over."""
        if self.options.steps:
            return self.step / self.options.steps
        return (time.monotonic() - began) / (60 * self.options.minutes)

    def _update(self, rows: Rows, share: float) -> None:
        """One step on one batch."""
        falling = 1.0 if share < FLAT else (1 - share) / (1 - FLAT)
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.rate * min(1.0, (self.step + 1) / WARMUP) * falling
        ctc, disagreement = self._losses(rows)
        self.optimizer.zero_grad(set_to_none=True)
        (ctc + self.options.consistency * disagreement).backward()  # type: ignore[no-untyped-call]
        clip = self.run.recipe.training.clip_norm
        torch.nn.utils.clip_grad_norm_(self.weights, clip, foreach=True)
        self.optimizer.step()
        momentum = min(AVERAGE, (1 + self.step) / (10 + self.step))
        values = [value.detach().float() for value in self.values]
        torch._foreach_lerp_(self.averages, values, 1 - momentum)
        self.device_loss = ctc.detach()
        self.step += 1
        self.seconds_trained += float(rows.ends.sum()) / self.run.recipe.features.sample_rate

    def _losses(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """CTC loss per symbol, and the divergence of the outputs of two views of a row.

        The divergence is the symmetric Kullback-Leibler divergence, per symbol.
        """
        views = 2 if self.options.consistency else 1
        features, frames = self.augmenter.features(rows, views=views)
        labels, sizes = self.augmenter.labels(rows)
        inputs = {"features": features, "lengths": frames.repeat(views)}
        log_probs = torch.log_softmax(self.model(inputs, training=True).float(), -1)
        steps = self.model.output_lengths(frames)
        symbols = sizes.sum().clamp_min(1)
        total = torch.nn.functional.ctc_loss(
            log_probs.transpose(0, 1),
            labels.repeat(views),
            steps.repeat(views),
            sizes.repeat(views),
            reduction="sum",
            zero_infinity=True,
        )
        ctc = total / (views * symbols)
        if views == 1:
            return ctc, torch.zeros_like(ctc)
        one, two = log_probs.chunk(2)
        target_one = one.detach()
        target_two = two.detach()
        divergence = target_one.exp() * (target_one - two) + target_two.exp() * (target_two - one)
        valid = torch.arange(log_probs.shape[1], device=log_probs.device) < steps[:, None]
        return ctc, (divergence.sum(-1) * valid).sum() / (2 * symbols)

    def _log(self, seconds: float) -> None:
        """Prints a line of the log. InputError if the loss is not finite."""
        self.loss = float(self.device_loss)
        if not math.isfinite(self.loss):
            raise InputError(f"the loss is {self.loss} at step {self.step}: lower the rate")
        speed = self.seconds_trained / max(seconds, 1e-9)
        click.echo(
            f"step {self.step}, {seconds:.0f} s: {self.seconds_trained / 3600:.1f} h of speech, "
            f"{speed:.0f} s of speech per second, loss {self.loss:.3f} per symbol"
        )

    def save_epoch(self, seconds: float) -> None:
        """Evaluates the averaged weights on dev and saves them as an epoch of the run."""
        self._log(seconds)
        for variable, average in zip(self.averaged_model.weights, self.averages, strict=True):
            variable.assign(average)
        dev, wers = self.evaluate()
        self.history.append(
            {
                "epoch": len(self.history) + 1,
                "loss": self.loss,
                "dev_wer": dev.wer,
                "dev_cer": dev.cer,
                "seconds": round(seconds, 1),
            }
        )
        self.run.save_epoch(self.averaged_model, self.history)
        by_corpus = ", ".join(f"{name} {wer:.1f}" for name, wer in wers.items())
        click.echo(f"dev: WER {dev.wer:.1f} %, CER {dev.cer:.1f} % ({by_corpus})")

    @torch.no_grad()
    def evaluate(self) -> tuple[Score, dict[str, float]]:
        """The greedy score on dev, and the WER of each corpus.

        A corpus is named by the folder above the folder of its clips.
        """
        dev = [i for i, clip in enumerate(self.speech.clips) if clip.split == "dev"]
        order: list[int] = []
        texts: list[str] = []
        for rows in self.drawing.plain(dev, self.options.batch_seconds):
            texts += self._transcribe(rows)
            order += rows.clip[:, 0].tolist()
        total = score([self.speech.texts[i] for i in order], texts)
        corpora: dict[str, list[int]] = {}
        for place, i in enumerate(order):
            corpora.setdefault(self.speech.clips[i].audio.parent.parent.name, []).append(place)
        return total, {name: total.of(places).wer for name, places in sorted(corpora.items())}

    def _transcribe(self, rows: Rows) -> list[str]:
        """The greedy text of each row."""
        recipe = self.run.recipe
        step_seconds = recipe.model.step_seconds(recipe.features)
        model = self.averaged_model
        features, frames = self.augmenter.features(rows, augment=False)
        logits = model({"features": features, "lengths": frames}, training=False).cpu().numpy()
        texts = []
        for row, steps in zip(logits, model.output_lengths(frames).tolist(), strict=True):
            decoder = GreedyDecoder(self.run.specification.alphabet, step_seconds)
            decoder.accept(row[:steps])
            texts.append(decoder.text())
        return texts
