"""How fast the kit trains, against the Keras example `ctc_asr` (keras.io/examples/audio/ctc_asr), side by side.

    python benchmarks/train_speed.py MANIFEST --recipe digits --variants 4

Seconds of speech a second through the input pipeline alone and through whole epochs of `fit`, on the same clips (16-bit
WAV at the recipe's rate, since the example reads WAV alone) and in turns, so that what else runs on the machine slows
both. The example's pipeline, optimizer, batch size and file order are as published; its loss is `keras.losses.CTC`,
which has taken the place of `keras.backend.ctc_batch_cost`. Its model is made the size of the recipe's, so that what
differs is what each does with it: the recipe's convolutions and as many recurrent layers of the same width, forward
instead of bidirectional, straight to the output; an FFT that gives as many bins as the kit's. "example, kit's loss" is
the same with the loss exchanged: what the kit gains in other ways. Prints one JSON object.
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
from ds2edge.train.model.deepspeech2 import DeepSpeech2, ctc_loss
from ds2edge.train.pipeline.batches import Batches
from ds2edge.train.pipeline.dataset import Dataset, compute_features, scan_dataset
from ds2edge.train.pipeline.feature_cache import FeatureCache
from ds2edge.train.recipe import Recipe, read_recipe
from ds2edge.train.trainer import make_optimizer

BATCH = 32  # clips, the example's


class Kit:
    """The kit's training, put together as `ds2edge train` does."""

    def __init__(self, recipe: Recipe, found: Dataset, cache: FeatureCache) -> None:
        self.threads = min(8, os.cpu_count() or 1)
        self.epoch = 0

        def batches(variants: int) -> Batches:
            features = Features(recipe.features, found.mean, found.std)
            return Batches(
                found.examples["train"],
                with_variants(recipe, variants),
                features,
                cache,
                augment=True,
                workers=self.threads,
                max_queue_size=4 * self.threads,
            )

        self.batches, self.uncached = batches(recipe.training.cached_augmentations), batches(0)
        precision = recipe.training.precision
        keras.config.set_dtype_policy(precision if precision == "float32" else f"mixed_{precision}")
        self.model = DeepSpeech2(recipe.model, recipe.features.bins, len(LETTERS))
        keras.config.set_dtype_policy("float32")  # the example knows no other
        self.model.compile(
            make_optimizer(recipe, found), jit_compile=keras.backend.backend() == "jax"
        )

    def feed(self, batches: Batches) -> None:
        """One epoch of batches, in as many threads as `fit` has."""
        self._begin(batches)
        with ThreadPoolExecutor(self.threads) as pool:
            for _ in pool.map(batches.__getitem__, range(len(batches))):
                pass

    def fit(self) -> None:
        """One epoch of training."""
        self._begin(self.batches)
        self.model.fit(self.batches, shuffle=False, verbose=0)

    def _begin(self, batches: Batches) -> None:
        self.epoch += 1  # each hears other draws, as in training
        batches.begin(self.epoch)


class Example:
    """The Keras example's training. What it names, it is named here."""

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

        files = [str(clip.audio) for clip in clips], [clip.text for clip in clips]
        self.dataset = (
            tf.data.Dataset.from_tensor_slices(files)
            .map(encode_single_sample, num_parallel_calls=tf.data.AUTOTUNE)
            .padded_batch(BATCH)
            .prefetch(buffer_size=tf.data.AUTOTUNE)
        )
        self.model = example_model(recipe, char_to_num.vocabulary_size() + 1)
        self.model.compile(keras.optimizers.Adam(1e-4), loss)

    def feed(self) -> None:
        """One epoch of batches."""
        for _ in self.dataset:
            pass

    def fit(self) -> None:
        """One epoch of training."""
        self.model.fit(self.dataset, verbose=0)


def example_model(recipe: Recipe, symbols: int) -> keras.Model:
    """The example's model at the recipe's size. It ends in logits: `keras.losses.CTC` wants them."""
    settings, layers = recipe.model, keras.layers
    spectrogram = keras.Input((None, recipe.features.bins))
    x = layers.Reshape((-1, recipe.features.bins, 1))(spectrogram)
    for c in settings.convolutions:
        x = layers.Conv2D(c.channels, c.kernel, c.stride, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Reshape((-1, x.shape[-2] * x.shape[-1]))(x)
    for i in range(settings.depth):
        cell = {"gru": layers.GRU, "lstm": layers.LSTM, "rnn": layers.SimpleRNN}[settings.cell]
        layer = cell(settings.width, return_sequences=True)
        x = (
            layers.Bidirectional(layer, merge_mode="sum")(x)
            if settings.direction == "bidirectional"
            else layer(x)
        )
        if i + 1 < settings.depth:
            x = layers.Dropout(0.5)(x)
    return keras.Model(spectrogram, layers.Dense(symbols)(x))


def kit_loss(labels: Any, logits: Any) -> Any:
    """The kit's CTC loss, told what `keras.losses.CTC` finds out for itself."""
    labels = keras.ops.cast(labels, "int32")
    steps = keras.ops.full_like(labels[:, 0], keras.ops.shape(logits)[1])
    return ctc_loss(labels, logits, keras.ops.sum(keras.ops.cast(labels != 0, "int32"), -1), steps)


def with_variants(recipe: Recipe, variants: int) -> Recipe:
    """The recipe with so many cached augmented versions of a clip."""
    return dataclasses.replace(
        recipe, training=dataclasses.replace(recipe.training, cached_augmentations=variants)
    )


def as_wav(clips: list[Clip], recipe: Recipe, folder: Path) -> list[Clip]:
    """The clips as the example reads them."""
    rate, made = recipe.features.sample_rate, []
    for i, clip in enumerate(clips):
        path = folder / f"{i}.wav"
        soundfile.write(path, read_audio(clip.audio, rate), rate, subtype="PCM_16")
        made.append(dataclasses.replace(clip, audio=path, split="train"))
    return made


def in_turns(ways: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each, round by round; a first round, in which graphs are traced, does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return seconds


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "--recipe",
    "name",
    default="digits",
    show_default=True,
    help="A recipe of the kit, or a TOML file.",
)
@click.option(
    "--clips",
    "count",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help="Of the split train.",
)
@click.option(
    "--rounds",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="Epochs of each that count.",
)
@click.option(
    "--variants",
    type=click.IntRange(0),
    help="Cached augmented versions of a clip; else the recipe's.",
)
def main(manifest: Path, name: str, count: int, rounds: int, variants: int | None) -> None:
    """Compare the speed of training with that of the Keras example, on the clips of a manifest."""
    recipe = read_recipe(name)
    recipe = with_variants(
        recipe, recipe.training.cached_augmentations if variants is None else variants
    )
    # The example's batches and linear bins for both: it has no others.
    recipe = recipe.with_training(None, BATCH)
    recipe = dataclasses.replace(recipe, features=dataclasses.replace(recipe.features, mel_bands=0))
    with tempfile.TemporaryDirectory() as folder:
        clips = as_wav(read_manifest(manifest, "train")[:count], recipe, Path(folder))
        cache = FeatureCache(Path(folder) / "cache", recipe)
        found = scan_dataset([*clips, dataclasses.replace(clips[0], split="dev")], recipe, cache)
        compute_features(found, recipe, cache)
        clips = [
            example.clip for example in found.examples["train"]
        ]  # both without the clips that scan_dataset skips
        kit = Kit(recipe, found, cache)
        example, other = (Example(recipe, clips, loss) for loss in (keras.losses.CTC(), kit_loss))
        seconds = in_turns(
            {
                "pipeline: kit": lambda: kit.feed(kit.batches),
                "pipeline: kit, nothing cached": lambda: kit.feed(kit.uncached),
                "pipeline: example": example.feed,
                "training: kit": kit.fit,
                "training: example": example.fit,
                "training: example, kit's loss": other.fit,
            },
            rounds,
        )
    speech = sum(clip.duration for clip in clips)

    def ratio(faster: str, slower: str) -> float:
        return round(float(np.median(np.divide(seconds[slower], seconds[faster]))), 2)

    result = {
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
        "ratios": {
            "training: kit to example": ratio("training: kit", "training: example"),
            "training: kit to example, kit's loss": ratio(
                "training: kit", "training: example, kit's loss"
            ),
            "kit: pipeline to training": ratio("pipeline: kit", "training: kit"),
            "kit: pipeline to training, nothing cached": ratio(
                "pipeline: kit, nothing cached", "training: kit"
            ),
        },
    }
    click.echo(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
