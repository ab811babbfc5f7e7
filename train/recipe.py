"""A recipe: everything that decides a training, in one TOML file."""

from __future__ import annotations

import dataclasses
import os
import sys
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from ds2edge.runtime.errors import InputError
from ds2edge.runtime.features import FeatureSettings
from ds2edge.runtime.records import from_dict

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CELLS = ("gru", "lstm", "rnn")


@dataclass(frozen=True)
class Convolution:
    """One 2-D convolution; pairs are (time, frequency)."""

    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]

    def __post_init__(self) -> None:
        if self.kernel[0] < self.stride[0]:
            raise ValueError(f"kernel {self.kernel} skips frames at stride {self.stride}: lengthen it in time")


@dataclass(frozen=True)
class ModelSettings:
    """Shape of the network (arXiv 1512.02595, figure 1)."""

    convolutions: tuple[Convolution, ...]
    cell: str = "gru"
    width: int = 256  # units of each recurrent layer
    depth: int = 3  # recurrent layers
    lookahead: int = 8  # steps of future context in the row convolution
    warmup: int = 8  # steps of silence that are heard before every clip, and whose outputs do not count

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise ValueError(f"cell '{self.cell}' is none of {', '.join(CELLS)}")
        if not self.convolutions or min(self.width, self.depth) < 1 or min(self.lookahead, self.warmup) < 0:
            raise ValueError(
                "a model needs a convolution, a recurrent layer, a width, and no negative lookahead or warmup"
            )

    @property
    def time_stride(self) -> int:
        """Feature frames per output step."""
        stride = 1
        for convolution in self.convolutions:
            stride *= convolution.stride[0]
        return stride


@dataclass(frozen=True)
class Augmentation:
    """What happens to a training clip; ranges are drawn from uniformly, anew in every epoch."""

    speed: tuple[float, float] = (0.9, 1.1)  # factor of tempo and pitch (Ko et al. 2015)
    leading_silence: tuple[float, float] = (0.0, 0.2)  # seconds
    gain_db: tuple[float, float] = (-10.0, 6.0)
    noise_probability: float = 0.5
    noise_snr_db: tuple[float, float] = (10.0, 40.0)
    noise_folder: str | None = None  # sound files to mix in; without it, coloured noise is synthesised
    frequency_masks: int = 2  # SpecAugment (arXiv 1904.08779)
    frequency_mask_bins: int = 20
    time_masks: int = 2
    time_mask_share: float = 0.08  # of the clip, each


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how fast to learn."""

    epochs: int = 30
    batch_size: int = 16
    learning_rate: float = 1e-3  # the peak
    warmup_share: float = 0.1  # of all steps, linear; a half cosine down to zero follows
    weight_decay: float = 1e-2
    clip_norm: float = 1.0  # of all gradients together
    seed: int = 1

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size) < 1 or self.learning_rate <= 0:
            raise ValueError("epochs, batch_size and learning_rate must be above 0")


@dataclass(frozen=True)
class Recipe:
    """A training."""

    name: str
    model: ModelSettings
    licence: str = ""  # of the data and so of what is trained on it; for the model card
    features: FeatureSettings = field(default_factory=FeatureSettings)
    augmentation: Augmentation = field(default_factory=Augmentation)
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def with_training(self, epochs: int | None, batch_size: int | None) -> Recipe:
        """The same recipe with the user's own epochs or batch size."""
        changes = {k: v for k, v in {"epochs": epochs, "batch_size": batch_size}.items() if v is not None}
        return dataclasses.replace(self, training=dataclasses.replace(self.training, **changes))


def read_recipe(name: str | os.PathLike[str]) -> Recipe:
    """Recipe of that name among the kit's own, or of a TOML file. InputError if there is none or it has a fault."""
    own = files("ds2edge.train") / "recipes"
    shipped = {entry.name.removesuffix(".toml"): entry for entry in own.iterdir() if entry.name.endswith(".toml")}
    source = shipped.get(str(name)) or Path(name)
    if not source.is_file():
        raise InputError(f"{name}: neither a recipe file nor one of the kit's recipes ({', '.join(sorted(shipped))})")
    try:
        values = tomllib.loads(source.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{source}: not TOML ({error})") from None
    return from_dict(Recipe, values, str(source))
