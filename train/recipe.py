"""A recipe: everything that decides a training, in one TOML file."""

from __future__ import annotations

import dataclasses
import os
import sys
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import FeatureSettings
from ds2edge.runtime.records import from_dict
from ds2edge.train.data.text import LETTERS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CELLS = ("gru", "lstm", "rnn", "qrnn")
DIRECTIONS = ("forward", "bidirectional")
PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Convolution:
    """One 2-D convolution; pairs are (time, frequency)."""

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
    width: int = 256  # units of each recurrent layer
    depth: int = 3  # recurrent layers
    lookahead: int = 8  # steps of future context in the row convolution
    warmup: int = (
        8  # steps of silence that are heard before every clip, and whose outputs do not count
    )
    direction: str = (
        "forward"  # streams; "bidirectional" hears whole clips, and both directions are added up
    )
    ahead: int = 0  # steps of future context in each layer of cell qrnn: 0 to 2
    dropout: float = 0.0  # share of the inputs of cell qrnn's products that training drops

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise ValueError(f"cell '{self.cell}' is none of {', '.join(CELLS)}")
        if self.direction not in DIRECTIONS:
            raise ValueError(f"direction '{self.direction}' is none of {', '.join(DIRECTIONS)}")
        if self.direction == "bidirectional" and self.lookahead:
            raise ValueError(
                "a bidirectional model hears the whole future: its lookahead must be 0"
            )
        if self.cell == "qrnn" and self.direction == "bidirectional":
            raise ValueError(
                "cell 'qrnn' has no bidirectional form: take direction \"forward\" or another cell"
            )
        if self.cell != "qrnn" and (self.ahead or self.dropout):
            raise ValueError(f"ahead and dropout belong to cell 'qrnn', not to '{self.cell}'")
        if not 0 <= self.ahead <= 2 or not 0 <= self.dropout < 1:
            raise ValueError(
                f"ahead ({self.ahead}) must be 0 to 2, dropout ({self.dropout}) at least 0 and below 1"
            )
        if (
            not self.convolutions
            or min(self.width, self.depth) < 1
            or min(self.lookahead, self.warmup) < 0
        ):
            raise ValueError(
                "a model needs a convolution, a recurrent layer, a width, and no negative lookahead or warmup"
            )

    @property
    def delay(self) -> int:
        """Steps by which outputs come late: the look-ahead of all layers together."""
        return self.lookahead + self.depth * self.ahead

    @property
    def time_stride(self) -> int:
        """Feature frames per output step."""
        stride = 1
        for convolution in self.convolutions:
            stride *= convolution.stride[0]
        return stride


@dataclass(frozen=True)
class Augmentation:
    """What happens to a training clip, in this order; ranges are drawn from uniformly, anew in every epoch.

    Each happens with its own probability: 0 is never, 1 always.
    """

    speed_probability: float = 1.0
    speed: tuple[float, float] = (0.9, 1.1)  # factor of tempo and pitch (Ko et al. 2015)
    leading_silence: tuple[float, float] = (0.0, 0.2)  # seconds
    room_probability: float = 0.0
    room_folder: str | None = (
        None  # impulse responses, a sound file each; without it, rooms are simulated
    )
    room_rt60: tuple[float, float] = (0.2, 0.5)  # seconds, of simulated rooms
    noise_probability: float = 0.5
    noise_snr_db: tuple[float, float] = (10.0, 40.0)
    noise_folder: str | None = (
        None  # sound files to mix in; without it, coloured noise is synthesised
    )
    codec_probability: float = 0.0  # a telephone: 300 to 3400 Hz, then mu-law, A-law or GSM
    gain_probability: float = 1.0
    gain_db: tuple[float, float] = (-10.0, 6.0)
    mask_probability: float = 1.0  # SpecAugment (arXiv 1904.08779)
    frequency_masks: int = 2
    frequency_mask_bins: int = 20
    time_masks: int = 2
    time_masks_per_frame: float = (
        0.0  # their number grows with the clip, instead (arXiv 1912.05533: 0.04); at most 20
    )
    time_mask_share: float = 0.08  # of the clip, each

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name.endswith(("_probability", "_share", "_per_frame")) and not 0 <= value <= 1:
                raise ValueError(f"{name} ({value}) must be between 0 and 1")
            if isinstance(value, tuple) and value[0] > value[1]:
                raise ValueError(f"{name} {value} must be from the lower to the higher")
        if self.speed[0] <= 0 or self.leading_silence[0] < 0:
            raise ValueError("speed must be above 0, leading_silence not negative")
        # Below, a large room would have to swallow more than all sound; above, a room takes seconds to simulate.
        if self.room_rt60[0] < 0.15 or self.room_rt60[1] > 1:
            raise ValueError(f"room_rt60 {self.room_rt60} must be within 0.15 to 1 s")


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how fast to learn."""

    epochs: int = 30
    batch_size: int = 16  # clips
    # Seconds of padded audio in a batch: it then holds as many clips as fit. 0: batch_size clips.
    batch_seconds: float = 0.0
    # Batches whose gradients make one update of the weights.
    gradient_accumulation: int = field(default=1, metadata={"formerly": "accumulate"})
    precision: str = "float32"  # of activations; bfloat16 or float16: mixed precision, for GPUs
    # SortaGrad (arXiv 1512.02595, section 3.3): the first epoch goes from short clips to long ones.
    sorted_first_epoch: bool = False
    # Augmented versions of each clip that are made once and cached. 0: a new one in every epoch.
    cached_augmentations: int = field(default=0, metadata={"formerly": "variants"})
    # Momentum of the averaged weights, which are then the ones to be judged and kept. 0: no averages.
    ema: float = 0.0
    patience: int = 0  # epochs without a better WER on dev after which training stops; 0: never
    # Checkpoints to keep: those of the epochs with the best WER on dev.
    keep_best: int = field(default=1, metadata={"formerly": "keep"})
    learning_rate: float = 1e-3  # the peak
    warmup_share: float = 0.1  # of all steps: the first ones, in which the rate rises to the peak
    decay_share: float = 1.0  # of all steps: the last ones, in which the rate falls to 0
    weight_decay: float = 1e-2
    clip_norm: float = 1.0  # of all gradients together
    # Quantization-aware training (arXiv 1712.05877): the forward pass rounds as int8 will.
    qat: bool = False
    seed: int = 1

    def __post_init__(self) -> None:
        if (
            min(self.epochs, self.batch_size, self.gradient_accumulation, self.keep_best) < 1
            or self.learning_rate <= 0
        ):
            raise ValueError(
                "epochs, batch_size, gradient_accumulation, keep_best and learning_rate "
                "must be above 0"
            )
        if (
            min(self.batch_seconds, self.cached_augmentations, self.patience) < 0
            or not 0 <= self.ema < 1
        ):
            raise ValueError(
                "batch_seconds, cached_augmentations and patience must not be negative, "
                "ema at least 0 and below 1"
            )
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision '{self.precision}' is none of {', '.join(PRECISIONS)}")
        if self.qat and self.precision != "float32":
            raise ValueError(
                f"qat needs precision float32, not {self.precision}: steps of int8 are finer than its own"
            )


@dataclass(frozen=True)
class TextSettings:
    """How texts are spelled."""

    # Symbols, blank and letters among them, that are learned from the texts and may be pieces of words; 0: letters.
    pieces: int = 0

    def __post_init__(self) -> None:
        if self.pieces and self.pieces < len(LETTERS):
            raise ValueError(
                f"pieces ({self.pieces}) must be 0, for letters, or at least {len(LETTERS)}: every letter "
                "is one, so that all words can be spelled"
            )


@dataclass(frozen=True)
class Recipe:
    """A training."""

    name: str
    model: ModelSettings
    licence: str = ""  # of the data and so of what is trained on it; for the model card
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
        """The same recipe with the user's own values. `qat` is at a tenth of the recipe's rate, if none is given:
        weights that have been learned shall settle, not leave; nor do they need short clips first."""
        changes: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
        if batch_size is not None:
            changes |= {"batch_size": batch_size, "batch_seconds": 0.0}
        if qat:
            changes |= {
                "qat": True,
                "precision": "float32",
                "learning_rate": self.training.learning_rate / 10,
                "sorted_first_epoch": False,
            }
        if learning_rate is not None:
            changes["learning_rate"] = learning_rate
        return dataclasses.replace(self, training=dataclasses.replace(self.training, **changes))


def read_recipe(name: str | os.PathLike[str]) -> Recipe:
    """Recipe of that name among the kit's own, or of a TOML file. InputError if there is none or it has a fault."""
    own = files("ds2edge.train") / "recipes"
    shipped = {
        entry.name.removesuffix(".toml"): entry
        for entry in own.iterdir()
        if entry.name.endswith(".toml")
    }
    source = shipped.get(str(name)) or Path(name)
    if not source.is_file():
        raise InputError(
            f"{name}: neither a recipe file nor one of the kit's recipes ({', '.join(sorted(shipped))})"
        )
    try:
        values = tomllib.loads(source.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{source}: not TOML ({error})") from None
    return from_dict(Recipe, values, str(source))
