"""The training itself: steps, averages, what is judged and kept."""

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
DRAWN = 100  # batches that are drawn, and sorted by length, together
TOLD = 1000  # steps between two lines of the log


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    minutes: float
    steps: int  # ends after so many, whatever the time; 0: by the time
    batch_seconds: float
    rate: float
    consistency: float
    synthetic_share: float
    judge_minutes: float
    seed: int


class Training:
    """Model, averages, optimizer and speech of one training."""

    def __init__(
        self,
        run: Run,
        model: DeepSpeech2,
        augmenter: Augmenter,
        drawing: Drawing,
        options: Options,
    ) -> None:
        """`augmenter` and `drawing` are of the same speech."""
        self.run, self.model, self.augmenter, self.options = run, model, augmenter, options
        self.drawing, self.speech = drawing, augmenter.speech
        self.weights = [variable.value for variable in model.trainable_weights]
        self.values = [variable.value for variable in model.weights]
        self.averages = [value.detach().float().clone() for value in self.values]
        shape = (run.recipe.model, run.recipe.features.bins, len(run.specification.alphabet))
        keras.config.set_dtype_policy("float32")
        self.judged = DeepSpeech2(*shape)
        decay = run.recipe.training.weight_decay
        groups = [
            {"params": [v for v in self.weights if v.ndim > 1], "weight_decay": decay},
            {"params": [v for v in self.weights if v.ndim <= 1], "weight_decay": 0.0},
        ]
        fused = augmenter.device.type == "cuda"
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), fused=fused)
        self.step, self.heard, self.loss = 0, 0.0, math.nan  # steps, seconds, and the newest loss
        self.newest = torch.zeros(())  # the same, on the device
        self.history: list[dict[str, Any]] = []

    def learn(self) -> None:
        """Trains for the time, or the steps, that there are; judges and keeps now and then."""
        began = judged = time.monotonic()
        options, batches = self.options, list[Rows]()
        while (share := self._share(began)) < 1:
            if not batches:
                batches = self.drawing.draw(DRAWN, options.batch_seconds)
            self._update(batches.pop(), share)
            now = time.monotonic()
            if self.step in (20, 100, 300) or self.step % TOLD == 0:
                self._tell(now - began)
            if now - judged > 60 * options.judge_minutes:
                self.keep(now - began)
                judged = time.monotonic()
        self.keep(time.monotonic() - began)

    def _share(self, began: float) -> float:
        if self.options.steps:
            return self.step / self.options.steps
        return (time.monotonic() - began) / (60 * self.options.minutes)

    def _update(self, rows: Rows, share: float) -> None:
        """One step on one batch."""
        falling = 1.0 if share < FLAT else (1 - share) / (1 - FLAT)
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.rate * min(1.0, (self.step + 1) / WARMUP) * falling
        ctc, agreement = self._losses(rows)
        self.optimizer.zero_grad(set_to_none=True)
        (ctc + self.options.consistency * agreement).backward()  # type: ignore[no-untyped-call]
        clip = self.run.recipe.training.clip_norm
        torch.nn.utils.clip_grad_norm_(self.weights, clip, foreach=True)
        self.optimizer.step()
        momentum = min(AVERAGE, (1 + self.step) / (10 + self.step))
        now = [value.detach().float() for value in self.values]
        torch._foreach_lerp_(self.averages, now, 1 - momentum)
        self.newest = ctc.detach()
        self.step += 1
        self.heard += float(rows.ends.sum()) / self.run.recipe.features.sample_rate

    def _losses(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """CTC a symbol, and how far two views of a row differ in what they say."""
        views = 2 if self.options.consistency else 1
        features, frames = self.augmenter.features(rows, views=views)
        labels, sizes = self.augmenter.labels(rows)
        inputs = {"features": features, "lengths": frames.repeat(views)}
        said = torch.log_softmax(self.model(inputs, training=True).float(), -1)
        steps, symbols = self.model.output_lengths(frames), sizes.sum().clamp_min(1)
        spelled = (labels.repeat(views), steps.repeat(views), sizes.repeat(views))
        ctc_loss, sums = torch.nn.functional.ctc_loss, {"reduction": "sum", "zero_infinity": True}
        ctc = ctc_loss(said.transpose(0, 1), *spelled, **sums) / (views * symbols)
        if views == 1:
            return ctc, torch.zeros_like(ctc)
        one, two = said.chunk(2)
        here, there = one.detach(), two.detach()
        differ = (here.exp() * (here - two) + there.exp() * (there - one)).sum(-1)
        valid = torch.arange(said.shape[1], device=said.device) < steps[:, None]
        return ctc, (differ * valid).sum() / (2 * symbols)

    def _tell(self, seconds: float) -> None:
        """A line of the log. InputError where the loss is no number."""
        self.loss = float(self.newest)
        if not math.isfinite(self.loss):
            raise InputError(f"the loss is {self.loss} at step {self.step}: lower the rate")
        speed = self.heard / max(seconds, 1e-9)
        hours = f"{self.heard / 3600:.1f} h heard, {speed:.0f} s a second"
        click.echo(f"step {self.step}, {seconds:.0f} s: {hours}, loss {self.loss:.3f} a symbol")

    def keep(self, seconds: float) -> None:
        """Judges the averaged weights on dev and saves them as an epoch of the run."""
        self._tell(seconds)
        for variable, average in zip(self.judged.weights, self.averages, strict=True):
            variable.assign(average)
        found, by_corpus = self.judge()
        self.history.append(
            {
                "epoch": len(self.history) + 1,
                "loss": self.loss,
                "dev_wer": found.wer,
                "dev_cer": found.cer,
                "seconds": round(seconds, 1),
            }
        )
        self.run.save_epoch(self.judged, self.history)
        parts = ", ".join(f"{name} {wer:.1f}" for name, wer in by_corpus.items())
        click.echo(f"dev: WER {found.wer:.1f} %, CER {found.cer:.1f} % ({parts})")

    @torch.no_grad()
    def judge(self) -> tuple[Score, dict[str, float]]:
        """Score on dev, greedy, and the WER of each corpus: clips by the folder above theirs."""
        dev = [i for i, clip in enumerate(self.speech.clips) if clip.split == "dev"]
        alphabet = self.run.specification.alphabet
        features = self.run.recipe.features
        step = self.run.recipe.model.time_stride * features.hop / features.sample_rate
        order, said = list[int](), list[str]()
        for rows in self.drawing.plain(dev, self.options.batch_seconds):
            x, frames = self.augmenter.features(rows, augment=False)
            logits = self.judged({"features": x, "lengths": frames}, training=False).cpu().numpy()
            for row, steps in zip(logits, self.judged.output_lengths(frames).tolist(), strict=True):
                decoder = GreedyDecoder(alphabet, step)
                decoder.accept(row[:steps])
                said.append(decoder.text())
            order += rows.clip[:, 0].tolist()
        found = score([self.speech.texts[i] for i in order], said)
        corpora: dict[str, list[int]] = {}
        for place, i in enumerate(order):
            corpora.setdefault(self.speech.clips[i].audio.parent.parent.name, []).append(place)
        return found, {name: found.of(places).wer for name, places in sorted(corpora.items())}
