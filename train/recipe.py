"""A recipe: all settings of a training, in one TOML file."""

from __future__ import annotations

import dataclasses
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import FeatureSettings
from ds2edge.runtime.records import from_dict
from ds2edge.runtime.specification import MAX_CHUNK_STEPS
from ds2edge.train.data.text import LETTERS
from ds2edge.train.recipe_files import shipped_recipes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# The settings of [model] that belong to one encoder.
ENCODERS = {
    "recurrent": ("cell", "direction", "ahead"),
    "conformer": ("heads", "chunk", "context", "kernel"),
}
CELLS = ("gru", "lstm", "rnn", "qrnn")
DIRECTIONS = ("forward", "bidirectional")
OPTIMIZERS = ("adamw", "muon")
PRECISIONS = ("float32", "bfloat16", "float16")
QAT_RATE_DIVISOR = 10  # quantization-aware training fine-tunes, so its learning rate is lower


@dataclass(frozen=True)
class Convolution:
    """One 2-D convolution. Pairs are (time, frequency)."""

    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]

    def __post_init__(self) -> None:
        if self.kernel[0] < self.stride[0]:
            raise ValueError(
                f"kernel {self.kernel} skips frames at stride {self.stride}: lengthen it in time"
            )


@dataclass(frozen=True)
class ModelSettings:
    """Shape of the network (arXiv 1512.02595, figure 1)."""

    convolutions: tuple[Convolution, ...]
    cell: str = "gru"
    # Units of each recurrent layer or conformer block.
    width: int = 256
    # Number of recurrent layers or conformer blocks.
    depth: int = 3
    # Steps of future context in the row convolution.
    lookahead: int = 8
    # Steps of silence that the network gets before each clip. Their outputs are dropped.
    warmup: int = 8
    # "forward" streams. "bidirectional" needs whole clips and adds the outputs of both directions.
    direction: str = "forward"
    # Steps of future context in each layer of cell qrnn: 0 to 2.
    ahead: int = 0
    # Share of the inputs of some matrix products, of cell qrnn and the conformer, that training
    # drops.
    dropout: float = 0.0
    # What lies between the convolutions and the row convolution: "recurrent" or "conformer".
    encoder: str = "recurrent"
    # Attention heads of the conformer. They divide the width.
    heads: int = 4
    # Steps of a chunk. A step of the conformer sees its whole chunk.
    chunk: int = 8
    # Steps before its chunk that a step of the conformer also sees.
    context: int = 32
    # Steps of each depthwise convolution of the conformer.
    kernel: int = 9

    def __post_init__(self) -> None:
        _require_one_of("encoder", self.encoder, tuple(ENCODERS))
        self._require_own_settings()
        _require_one_of("cell", self.cell, CELLS)
        _require_one_of("direction", self.direction, DIRECTIONS)
        if not self.convolutions:
            raise ValueError("a model needs a convolution")
        _require_at_least(self, 1, "width", "depth")
        _require_at_least(self, 0, "lookahead", "warmup")
        if not 0 <= self.ahead <= 2:
            raise ValueError(f"ahead ({self.ahead}) must be 0 to 2")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout ({self.dropout}) must be at least 0 and below 1")
        if self.encoder == "conformer":
            self._check_conformer()
        elif self.cell != "qrnn" and (self.ahead or self.dropout):
            raise ValueError(f"ahead and dropout belong to cell 'qrnn', not to '{self.cell}'")
        if self.direction == "bidirectional":
            self._check_bidirectional()

    def _require_own_settings(self) -> None:
        """Settings of another encoder keep their default."""
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for encoder, names in ENCODERS.items():
            for name in names:
                if encoder != self.encoder and getattr(self, name) != defaults[name]:
                    raise ValueError(
                        f"{name} belongs to encoder '{encoder}', not to '{self.encoder}': "
                        f'leave it out, or set encoder = "{encoder}"'
                    )

    def _check_conformer(self) -> None:
        _require_at_least(self, 1, *ENCODERS["conformer"])
        if self.width % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide width ({self.width})")
        if self.chunk > MAX_CHUNK_STEPS:
            raise ValueError(
                f"chunk ({self.chunk}) must be at most {MAX_CHUNK_STEPS}, the longest --chunk-steps"
            )

    def _check_bidirectional(self) -> None:
        if self.lookahead:
            raise ValueError("a bidirectional model sees the whole clip: its lookahead must be 0")
        if self.cell == "qrnn":
            raise ValueError(
                "cell 'qrnn' is never bidirectional: choose direction \"forward\" or another cell"
            )

    @property
    def delay(self) -> int:
        """Output delay in steps: the future context of all layers together."""
        return self.lookahead + self.depth * self.ahead

    @property
    def layer_kind(self) -> str:
        """The cell of a recurrent encoder; the name of another encoder."""
        return self.cell if self.encoder == "recurrent" else self.encoder

    @property
    def attention_chunk(self) -> int:
        """Steps that the encoder must get at once: a multiple of this many."""
        return self.chunk if self.encoder == "conformer" else 1

    @property
    def time_stride(self) -> int:
        """Feature frames per output step."""
        stride = 1
        for convolution in self.convolutions:
            stride *= convolution.stride[0]
        return stride

    def step_seconds(self, features: FeatureSettings) -> float:
        """Seconds of audio per output step."""
        return features.step_seconds(self.time_stride)


@dataclass(frozen=True)
class Augmentation:
    """Random changes to a training clip, in this order. Ranges are drawn from uniformly.

    Each change has a probability of its own: 0 is never, 1 is always.
    """

    speed_probability: float = 1.0
    # Factor of tempo and pitch (Ko et al. 2015).
    speed: tuple[float, float] = (0.9, 1.1)
    # Silence before and after a clip, in seconds.
    silence_probability: float = 1.0
    leading_silence: tuple[float, float] = (0.0, 0.2)
    trailing_silence: tuple[float, float] = (0.0, 0.0)
    room_probability: float = 0.0
    # Folder of impulse responses, one in each sound file. Without it, rooms are simulated.
    room_folder: str | None = None
    # Reverberation time of simulated rooms in seconds.
    room_rt60: tuple[float, float] = (0.2, 0.5)
    noise_probability: float = 0.5
    noise_snr_db: tuple[float, float] = (10.0, 40.0)
    # Folder of sound files to mix in. Without it, coloured noise is synthesised.
    noise_folder: str | None = None
    # Folder of speech. Several of its clips at once are babble, which takes the place of this share
    # of the noise.
    babble_folder: str | None = None
    babble_share: float = 0.5
    # A telephone: 300 to 3400 Hz, then mu-law, A-law or GSM.
    codec_probability: float = 0.0
    gain_probability: float = 1.0
    gain_db: tuple[float, float] = (-10.0, 6.0)
    # SpecAugment (arXiv 1904.08779).
    mask_probability: float = 1.0
    frequency_masks: int = 2
    frequency_mask_bins: int = 20
    time_masks: int = 2
    # Above 0, the number of time masks grows with the clip instead (arXiv 1912.05533 uses 0.04).
    # A clip gets at most 20.
    time_masks_per_frame: float = 0.0
    # Longest time mask, as a share of the clip.
    time_mask_share: float = 0.08

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name.endswith(("_probability", "_share", "_per_frame")):
                _require_share(name, value)
            if isinstance(value, tuple) and value[0] > value[1]:
                raise ValueError(f"{name} {value} must go from the lower to the higher value")
        if self.speed[0] <= 0:
            raise ValueError(f"speed must be above 0, not {self.speed[0]}")
        for name in ("leading_silence", "trailing_silence"):
            if getattr(self, name)[0] < 0:
                raise ValueError(f"{name} {getattr(self, name)} must not be negative")
        # Below 0.15 s, the walls of a large room would absorb more than all sound. Above 1 s,
        # simulating a room takes seconds.
        if self.room_rt60[0] < 0.15 or self.room_rt60[1] > 1:
            raise ValueError(f"room_rt60 {self.room_rt60} must be within 0.15 to 1 s")


@dataclass(frozen=True)
class TrainingSettings:
    """Length, batches, optimizer and checkpoints of a training."""

    epochs: int = 30
    # Clips in a batch.
    batch_size: int = 16
    # Seconds of padded audio in a batch, which holds as many clips as fit. 0: batch_size clips.
    batch_seconds: float = 0.0
    # Batches whose gradients make one update of the weights.
    gradient_accumulation: int = field(default=1, metadata={"formerly": "accumulate"})
    # Precision of activations. bfloat16 and float16 are mixed precision, for GPUs. bfloat16 is also
    # for CPUs with avx512_bf16.
    precision: str = "float32"
    # SortaGrad (arXiv 1512.02595, section 3.3): the first epoch goes from short clips to long ones.
    sorted_first_epoch: bool = False
    # Share of each manifest in the seconds of an epoch, in the order of the command. The epoch uses
    # each clip of the first manifest once. Without shares it uses every clip once.
    manifest_shares: tuple[float, ...] = ()
    # Augmented versions of each clip that are computed once and cached. 0: new ones in each epoch.
    cached_augmentations: int = field(default=0, metadata={"formerly": "variants"})
    # Momentum of the averaged weights, which are then evaluated and saved. 0: no averages.
    ema: float = 0.0
    # Epochs without a better WER on dev after which training stops. 0: it never stops early.
    patience: int = 0
    # Checkpoints to keep: those of the epochs with the best WER on dev.
    keep_best: int = field(default=1, metadata={"formerly": "keep"})
    # "adamw" or "muon". A step of muon lowers the loss more, and takes longer.
    optimizer: str = "adamw"
    # Peak of the learning rate.
    learning_rate: float = 1e-3
    # Share of all steps, at the start, in which the learning rate rises to its peak.
    warmup_share: float = 0.1
    # Share of all steps, at the end, in which the learning rate falls to 0.
    decay_share: float = 1.0
    weight_decay: float = 1e-2
    # Weight of the difference between the outputs for two masked views of each clip (CR-CTC, arXiv
    # 2410.05101, which uses 0.2). 0: each clip is seen once per epoch. Above 0, a step takes twice
    # as long.
    consistency: float = 0.0
    # Weight of the expected number of wrong words (minimum word error rate training), where a nat
    # of the CTC loss has 1. For a model that already hears. 0: CTC alone.
    word_errors: float = 0.0
    # Largest norm of all gradients together.
    clip_norm: float = 1.0
    # Quantization-aware training (arXiv 1712.05877): the forward pass rounds as int8 will.
    qat: bool = False
    seed: int = 1

    def __post_init__(self) -> None:
        _require_at_least(self, 1, "epochs", "batch_size", "gradient_accumulation", "keep_best")
        _require_at_least(
            self,
            0,
            "batch_seconds",
            "cached_augmentations",
            "patience",
            "consistency",
            "word_errors",
        )
        _require_share("warmup_share", self.warmup_share)
        _require_share("decay_share", self.decay_share)
        shares = self.manifest_shares
        if shares and (min(shares) <= 0 or abs(sum(shares) - 1) > 1e-3):
            raise ValueError(f"manifest_shares {shares} must all be above 0 and sum to 1")
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate ({self.learning_rate}) must be above 0")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema ({self.ema}) must be at least 0 and below 1")
        _require_one_of("optimizer", self.optimizer, OPTIMIZERS)
        _require_one_of("precision", self.precision, PRECISIONS)
        if self.qat and self.precision != "float32":
            raise ValueError(
                f"qat needs precision float32: {self.precision} is coarser than the steps of int8"
            )


@dataclass(frozen=True)
class TextSettings:
    """Spelling of texts."""

    # Number of symbols, with blank and letters, if words are spelled in pieces. 0: letters alone.
    pieces: int = 0

    def __post_init__(self) -> None:
        if self.pieces and self.pieces < len(LETTERS):
            raise ValueError(
                f"pieces ({self.pieces}) must be 0, for letters, or at least {len(LETTERS)}: each "
                "letter is a piece, so that every word can be spelled"
            )


@dataclass(frozen=True)
class Recipe:
    """All settings of a training."""

    name: str
    model: ModelSettings
    # Licence of the data and so of the model, for the model card.
    licence: str = ""
    text: TextSettings = field(default_factory=TextSettings)
    features: FeatureSettings = field(default_factory=FeatureSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def with_training(
        self,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        qat: bool = False,
    ) -> Recipe:
        """The recipe with other values; None keeps the recipe's own.

        `qat` turns on quantization-aware training: float32, a tenth of the learning rate, and no
        sorting in the first epoch, because the weights are already trained.
        """
        changes: dict[str, Any] = {}
        if epochs is not None:
            changes["epochs"] = epochs
        if batch_size is not None:
            changes |= {"batch_size": batch_size, "batch_seconds": 0.0}
        if qat:
            changes |= {
                "qat": True,
                "precision": "float32",
                "learning_rate": self.training.learning_rate / QAT_RATE_DIVISOR,
                "sorted_first_epoch": False,
            }
        if learning_rate is not None:
            changes["learning_rate"] = learning_rate
        return dataclasses.replace(self, training=dataclasses.replace(self.training, **changes))


def read_recipe(name: str | os.PathLike[str]) -> Recipe:
    """The shipped recipe of that name, or a TOML file.

    InputError if there is neither, or if the file has an error.
    """
    shipped = shipped_recipes()
    source = shipped.get(str(name)) or Path(name)
    if not source.is_file():
        raise InputError(
            f"{name}: neither a recipe file nor a shipped recipe ({', '.join(shipped)})"
        )
    try:
        values = tomllib.loads(source.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{source}: not TOML ({error})") from None
    return from_dict(Recipe, values, str(source))


def _require_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} '{value}' is none of {', '.join(known)}")


def _require_at_least(settings: Any, least: int, *names: str) -> None:
    for name in names:
        if getattr(settings, name) < least:
            raise ValueError(f"{name} ({getattr(settings, name)}) must be at least {least}")


def _require_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} ({value}) must be between 0 and 1")
