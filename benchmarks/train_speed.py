"""Compares the training speed with that of the Keras example `ctc_asr`, side by side.

    python benchmarks/train_speed.py MANIFEST --recipe digits --variants 4

The example is https://keras.io/examples/audio/ctc_asr. The benchmark measures seconds of speech per
second, through the input pipeline alone and through whole epochs of `fit`. Both sides get the same
clips, as 16-bit WAV at the recipe's rate, because the example reads only WAV. They take turns, so
that other load on the machine slows both.

The example's pipeline, optimizer, batch size and file order are as published. Its loss is
`keras.losses.CTC`, the successor of `keras.backend.ctc_batch_cost`. Its model gets the size of the
recipe's: the recipe's convolutions, as many recurrent layers of the same width, forward instead of
bidirectional, straight to the output, and an FFT with as many bins as the recipe's features.
"example, kit's loss" uses the loss of ds2edge, which shows what the rest of ds2edge gains.

Prints one JSON object.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
import soundfile
import tensorflow as tf

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.features import Features
from ds2edge.train.acceleration import gpus
from ds2edge.train.data.manifest import Clip, read_manifest
from ds2edge.train.data.text import LETTERS
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.model.losses.ctc import ctc_loss
from ds2edge.train.pipeline.batches import Batches
from ds2edge.train.pipeline.dataset import Dataset, compute_features, scan_dataset
from ds2edge.train.pipeline.feature_cache import FeatureCache
from ds2edge.train.recipe import Recipe, read_recipe
from ds2edge.train.schedule import make_optimizer

BATCH = 32  # clips in a batch of the example
MOST_THREADS = 8


class Kit:
    """The training of ds2edge, put together as `ds2edge train` does."""

    def __init__(self, recipe: Recipe, dataset: Dataset, cache: FeatureCache) -> None:
        self.recipe = recipe
        self.dataset = dataset
        self.cache = cache
        self.threads = min(MOST_THREADS, os.cpu_count() or 1)
        self.epoch = 0
        self.batches = self._batches(recipe.training.cached_augmentations)
        self.uncached = self._batches(0)
        precision = recipe.training.precision
        keras.config.set_dtype_policy(precision if precision == "float32" else f"mixed_{precision}")
        self.model = DeepSpeech2(recipe.model, recipe.features.bins, len(LETTERS))
        keras.config.set_dtype_policy("float32")  # the example's
        steps = recipe.training.epochs * len(self.batches)
        self.model.compile(
            make_optimizer(recipe.training, steps), jit_compile=keras.backend.backend() == "jax"
        )

    def _batches(self, variants: int) -> Batches:
        return Batches(
            self.dataset.examples["train"],
            with_variants(self.recipe, variants),
            Features(self.recipe.features, self.dataset.mean, self.dataset.std),
            self.cache,
            augment=True,
            workers=self.threads,
            max_queue_size=4 * self.threads,
        )

    def feed(self, batches: Batches) -> None:
        """Computes one epoch of batches, in as many threads as `fit` uses."""
        self._begin(batches)
        with ThreadPoolExecutor(self.threads) as pool:
            for _ in pool.map(batches.__getitem__, range(len(batches))):
                pass

    def fit(self) -> None:
        """Trains for one epoch."""
        self._begin(self.batches)
        self.model.fit(self.batches, shuffle=False, verbose=0)

    def _begin(self, batches: Batches) -> None:
        self.epoch += 1  # each epoch draws other augmentations, as in training
        batches.begin(self.epoch)


class Example:
    """The training of the Keras example, with the names of the example."""

    def __init__(self, recipe: Recipe, clips: list[Clip], loss: Callable[..., Any]) -> None:
        characters = list("abcdefghijklmnopqrstuvwxyz'?! ")
        char_to_num = keras.layers.StringLookup(vocabulary=characters, oov_token="")
        fft_length = 2 * (recipe.features.bins - 1)  # 384 in the example

        def encode_single_sample(wav_file: Any, label: Any) -> tuple[Any, Any]:
            audio, _ = tf.audio.decode_wav(tf.io.read_file(wav_file))
            audio = tf.cast(tf.squeeze(audio, axis=-1), tf.float32)
            spectrogram = tf.signal.stft(
                audio, frame_length=256, frame_step=160, fft_length=fft_length
            )
            spectrogram = tf.math.pow(tf.abs(spectrogram), 0.5)
            means = tf.math.reduce_mean(spectrogram, 1, keepdims=True)
            stddevs = tf.math.reduce_std(spectrogram, 1, keepdims=True)
            spectrogram = (spectrogram - means) / (stddevs + 1e-10)
            label = tf.strings.unicode_split(tf.strings.lower(label), input_encoding="UTF-8")
            return spectrogram, char_to_num(label)

        files = [str(clip.audio) for clip in clips]
        texts = [clip.text for clip in clips]
        self.dataset = (
            tf.data.Dataset.from_tensor_slices((files, texts))
            .map(encode_single_sample, num_parallel_calls=tf.data.AUTOTUNE)
            .padded_batch(BATCH)
            .prefetch(buffer_size=tf.data.AUTOTUNE)
        )
        self.model = example_model(recipe, char_to_num.vocabulary_size() + 1)
        self.model.compile(keras.optimizers.Adam(1e-4), loss)

    def feed(self) -> None:
        """Computes one epoch of batches."""
        for _ in self.dataset:
            pass

    def fit(self) -> None:
        """Trains for one epoch."""
        self.model.fit(self.dataset, verbose=0)


def example_model(recipe: Recipe, symbols: int) -> keras.Model:
    """The example's model at the recipe's size. It ends in logits, for `keras.losses.CTC`."""
    settings = recipe.model
    layers = keras.layers
    spectrogram = keras.Input((None, recipe.features.bins))
    x = layers.Reshape((-1, recipe.features.bins, 1))(spectrogram)
    for c in settings.convolutions:
        x = layers.Conv2D(c.channels, c.kernel, c.stride, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Reshape((-1, x.shape[-2] * x.shape[-1]))(x)
    for i in range(settings.depth):
        cells = {"gru": layers.GRU, "lstm": layers.LSTM, "rnn": layers.SimpleRNN}
        layer = cells[settings.layer_kind](settings.width, return_sequences=True)
        if settings.direction == "bidirectional":
            layer = layers.Bidirectional(layer, merge_mode="sum")
        x = layer(x)
        if i + 1 < settings.depth:
            x = layers.Dropout(0.5)(x)
    return keras.Model(spectrogram, layers.Dense(symbols)(x))


def kit_loss(labels: Any, logits: Any) -> Any:
    """The CTC loss of ds2edge, with the lengths that `keras.losses.CTC` finds by itself."""
    labels = keras.ops.cast(labels, "int32")
    steps = keras.ops.full_like(labels[:, 0], keras.ops.shape(logits)[1])
    return ctc_loss(labels, logits, keras.ops.sum(keras.ops.cast(labels != 0, "int32"), -1), steps)


def with_variants(recipe: Recipe, variants: int) -> Recipe:
    """The recipe with so many cached augmented versions of each clip."""
    return dataclasses.replace(
        recipe, training=dataclasses.replace(recipe.training, cached_augmentations=variants)
    )


def as_wav(clips: list[Clip], recipe: Recipe, folder: Path) -> list[Clip]:
    """The clips as WAV files in `folder`, which the example can read."""
    rate = recipe.features.sample_rate
    converted = []
    for i, clip in enumerate(clips):
        path = folder / f"{i}.wav"
        soundfile.write(path, read_audio(clip.audio, rate), rate, subtype="PCM_16")
        converted.append(dataclasses.replace(clip, audio=path, split="train"))
    return converted


def in_turns(ways: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way in each round. A first round, which traces graphs, does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def ratios(seconds: dict[str, list[float]]) -> dict[str, float]:
    """How many times as fast the first way of each pair is as the second (median of the rounds)."""
    pairs = {
        "training: kit to example": ("training: kit", "training: example"),
        "training: kit to example, kit's loss": ("training: kit", "training: example, kit's loss"),
        "kit: pipeline to training": ("pipeline: kit", "training: kit"),
        "kit: pipeline to training, nothing cached": (
            "pipeline: kit, nothing cached",
            "training: kit",
        ),
    }
    return {
        name: round(float(np.median(np.divide(seconds[slower], seconds[faster]))), 2)
        for name, (faster, slower) in pairs.items()
    }


def compare(recipe: Recipe, clips: list[Clip], rounds: int, folder: Path) -> dict[str, Any]:
    """The figures of both sides on the same clips."""
    cache = FeatureCache(folder / "cache", recipe)
    dataset = scan_dataset([*clips, dataclasses.replace(clips[0], split="dev")], recipe, cache)
    compute_features(dataset, recipe, cache)
    # Clips that ds2edge skips count for neither side.
    clips = [example.clip for example in dataset.examples["train"]]
    kit = Kit(recipe, dataset, cache)
    example = Example(recipe, clips, keras.losses.CTC())
    example_with_kit_loss = Example(recipe, clips, kit_loss)
    seconds = in_turns(
        {
            "pipeline: kit": lambda: kit.feed(kit.batches),
            "pipeline: kit, nothing cached": lambda: kit.feed(kit.uncached),
            "pipeline: example": example.feed,
            "training: kit": kit.fit,
            "training: example": example.fit,
            "training: example, kit's loss": example_with_kit_loss.fit,
        },
        rounds,
    )
    speech = sum(clip.duration for clip in clips)
    return {
        "backend": keras.backend.backend(),
        "device": ", ".join(gpus()) or f"CPU, {os.cpu_count()} cores",
        "recipe": recipe.name,
        "variants": recipe.training.cached_augmentations,
        "clips": len(clips),
        "seconds": round(speech),
        "weights": {"kit": kit.model.count_params(), "example": example.model.count_params()},
        "seconds_per_second": {
            way: round(speech / float(np.median(taken)), 1) for way, taken in seconds.items()
        },
        "ratios": ratios(seconds),
    }


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "--recipe",
    "name",
    default="digits",
    show_default=True,
    help="A shipped recipe, or a TOML file.",
)
@click.option(
    "--clips",
    "count",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help="Number of clips of the split train.",
)
@click.option(
    "--rounds",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="Number of epochs that are measured.",
)
@click.option(
    "--variants",
    type=click.IntRange(0),
    help="Cached augmented versions of each clip, in place of the recipe's.",
)
def main(manifest: Path, name: str, count: int, rounds: int, variants: int | None) -> None:
    """Compare the training speed with that of the Keras example, on the clips of MANIFEST."""
    recipe = read_recipe(name)
    if variants is not None:
        recipe = with_variants(recipe, variants)
    # The example has no other batches and no mel bands, so both sides go without.
    recipe = recipe.with_training(batch_size=BATCH)
    recipe = dataclasses.replace(recipe, features=dataclasses.replace(recipe.features, mel_bands=0))
    with tempfile.TemporaryDirectory() as folder:
        clips = as_wav(read_manifest(manifest, "train")[:count], recipe, Path(folder))
        result = compare(recipe, clips, rounds, Path(folder))
    click.echo(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
