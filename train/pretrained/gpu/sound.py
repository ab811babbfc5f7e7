"""Augmentation and features of rows of speech on the GPU; the features are the kit's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from clips import Rows, Speech, read_int16
from kernels import BEFORE_SOUND, Placement, cut, follow
from torch import Tensor

from ds2edge.runtime.features import MIN_POWER, SILENCE_DB, FeatureSettings, mel_filters
from ds2edge.train.augmentation.sound_files import sound_files
from ds2edge.train.pipeline.padding import padding_of
from ds2edge.train.recipe import Augmentation, ModelSettings

NOWHERE = 1 << 40  # start of a missing clip: beyond the end of every row
FRAMES_AT_ONCE = 400_000  # that one transform takes: bounds its memory
REVERBERATION = 12_000  # samples of a room's response


class FrontEnd:
    """ds2edge.runtime.features.Features for batches, in float32."""

    def __init__(self, settings: FeatureSettings, device: torch.device) -> None:
        self.settings = settings
        window = np.hanning(settings.window + 1)[:-1]
        self._window = torch.tensor(window / (window.sum() / 2)).float().to(device)
        self._filters = None
        frequencies = np.fft.rfftfreq(settings.window, 1 / settings.sample_rate)
        if settings.mel_bands:
            filters = mel_filters(settings).T
            self._filters = torch.tensor(filters).float().to(device)
            frequencies = frequencies @ filters / filters.sum(0)
        self.frequencies = torch.tensor(frequencies).float().to(device)  # Hz, middle of each bin
        self._mean = torch.zeros(settings.bins, device=device)
        self._std = torch.ones(settings.bins, device=device)

    def set_statistics(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Sets mean and standard deviation [bins] of the training set, in dB.

        Without them, features are plain levels in dB.
        """
        device = self._window.device
        self._mean = torch.tensor(mean, dtype=torch.float32, device=device)
        self._std = torch.tensor(std, dtype=torch.float32, device=device)

    def statistics(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation [bins], in dB."""
        return self._mean.tolist(), self._std.tolist()

    def power(self, samples: Tensor) -> Tensor:
        """Power of samples: [rows, samples] -> [rows, frames, bins]."""
        frames = samples.unfold(1, self.settings.window, self.settings.hop)
        parts = []
        for part in frames.split(max(1, FRAMES_AT_ONCE // frames.shape[1])):
            spectrum = torch.fft.rfft(part * self._window)
            power = spectrum.real**2 + spectrum.imag**2
            parts.append(power if self._filters is None else power @ self._filters)
        return torch.cat(parts)

    def decibels(self, power: Tensor) -> Tensor:
        """Levels of a power, within the settings' bounds.

        They are relative to full scale or to the running level.
        """
        s = self.settings
        if not s.level_rise:
            return to_decibels(power, 10 ** (s.floor_db / 10)).clamp_max(s.ceiling_db)
        loudness = to_decibels(power.sum(-1, keepdim=True))
        levels = follow(loudness, s.level_rise, s.level_fall, SILENCE_DB)
        relative = (to_decibels(power) - levels).clamp(s.floor_db, s.ceiling_db)
        return torch.where(levels == BEFORE_SOUND, s.floor_db, relative)

    def normalise(self, measured: Tensor) -> Tensor:
        """Levels in dB as features, by the statistics of the training set."""
        return (measured - self._mean) / self._std


def to_decibels(power: Tensor, least: float = MIN_POWER) -> Tensor:
    """Levels in dB of a power, of which less than `least` counts as `least`."""
    return 10 * torch.log10(power.clamp_min(least))


@dataclass(frozen=True)
class Distortion:
    """Augmentation beyond the recipe's: probabilities, and ranges to draw from uniformly."""

    white: float = 0.3  # probability of white noise
    white_db: tuple[float, float] = (15.0, 55.0)  # signal-to-noise ratio
    clipped: float = 0.04  # probability of clipping
    clipped_peak: tuple[float, float] = (1.5, 4.0)  # peak before clipping; 1 is full scale
    peak_db: tuple[float, float] = (-38.0, 0.0)  # peak of the other rows
    telephone: float = 0.04  # probability of a telephone's bandwidth
    telephone_hz: tuple[float, float] = (3300.0, 5000.0)  # its upper limit
    tilt: float = 5.0  # dB, standard deviation of the slope of a microphone's response
    mask_frames: int = 30  # longest time mask


@dataclass
class Augmenter:
    """Turns rows of clips into batches of features, with a recipe's augmentation."""

    speech: Speech
    front: FrontEnd
    model: ModelSettings
    recipe: Augmentation
    device: torch.device
    seed: int
    distortion: Distortion = field(default_factory=Distortion)

    def __post_init__(self) -> None:
        rate = self.front.settings.sample_rate
        self.rng = np.random.default_rng((self.seed, 1))
        self._pcm = torch.from_numpy(self.speech.pcm).to(self.device)
        self._noise = self._rooms = None
        if self.recipe.noise_folder and self.recipe.noise_probability:
            noises = [read_int16(path, rate) for path in sound_files(self.recipe.noise_folder)]
            self._noise = self._tensor(np.concatenate(noises))
        if self.recipe.room_folder and self.recipe.room_probability:
            paths = sound_files(self.recipe.room_folder)
            responses = [room_response(read_int16(path, rate)) for path in paths]
            self._rooms = self._tensor(np.stack(responses))

    def features(self, rows: Rows, augment: bool = True, views: int = 1) -> tuple[Tensor, Tensor]:
        """Features [views x rows, frames, bins], and the real frames of each row.

        The views of a row differ in their masks only. `views` 0: no masks. Without `augment`, rows
        stay as recorded.
        """
        sound, frames, before = self._cut(rows)
        if augment:
            sound = self._distort(sound, before + self._tensor(rows.ends), before)
        power = self.front.power(sound)
        if augment:
            power = power * self._response(len(power))[:, None]
        measured = self.front.normalise(self.front.decibels(power))
        if augment and views:
            measured = torch.cat([self._mask(measured, frames) for _ in range(views)])
        return measured, self._tensor(frames)

    def labels(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """The symbols of all rows in one sequence, and the number of symbols of each row."""
        labels = [[k for i in row if i >= 0 for k in self.speech.labels[i]] for row in rows.clip]
        flat = np.array([k for row in labels for k in row], np.int64)
        return self._tensor(flat), self._tensor(np.array([len(row) for row in labels]))

    def _tensor(self, array: npt.NDArray[Any]) -> Tensor:
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device, non_blocking=True)

    def _some(self, rows: int, chance: float) -> Tensor:
        """The numbers of random rows, each drawn with probability `chance`."""
        return self._tensor(np.flatnonzero(self.rng.random(rows) < chance))

    def _uniform(self, bounds: tuple[float, float], size: int) -> Tensor:
        return self._tensor(self.rng.uniform(*bounds, size))

    def _cut(self, rows: Rows) -> tuple[Tensor, npt.NDArray[np.int64], int]:
        """Sound [rows, samples], the frames of each row, and the samples of silence before it."""
        s = self.front.settings
        padding = padding_of(self.model)
        before = padding.before(s)
        after = [padding.after(int(end), s) for end in rows.ends]
        frames = (before + rows.ends + np.array(after) - s.window) // s.hop + 1
        quantum = 8 * self.model.time_stride  # few different shapes: memory is reused
        longest = -(-int(frames.max()) // quantum) * quantum
        real = rows.clip >= 0
        start = np.where(real, rows.start + before, NOWHERE)
        length = np.where(real, self.speech.samples[rows.clip], 0)
        offset = np.where(real, self.speech.offset[rows.clip], 0)
        placement = Placement(
            *(torch.from_numpy(x) for x in (start, length, offset, rows.speed, rows.gain))
        )
        samples = (longest - 1) * s.hop + s.window
        return cut(self._pcm, placement.to(self.device), samples), frames, before

    def _distort(self, sound: Tensor, until: Tensor, before: int) -> Tensor:
        """Adds rooms and noise from sample `before` up to `until`, and sets the levels."""
        rows = len(sound)
        position = torch.arange(sound.shape[1], device=self.device)
        inside = (position >= before) & (position < until[:, None])
        count = (until - before).clamp_min(1)
        power = (sound**2).sum(1) / count
        if self._rooms is not None:
            which = self._some(rows, self.recipe.room_probability)
            if len(which):
                wet = self._reverberate(sound[which]) * inside[which]
                now = ((wet**2).sum(1) / count[which]).clamp_min(1e-12)
                sound[which] = wet * (power[which] / now).sqrt()[:, None]
        if self._noise is not None:
            which = self._some(rows, self.recipe.noise_probability)
            noise = self._draw_noise(len(which), position)
            ratio = 10 ** (-self._uniform(self.recipe.noise_snr_db, len(which)) / 10)
            scale = power[which] * ratio / (noise**2).mean(1).clamp_min(1e-10)
            sound[which] += noise * scale.sqrt().clamp_max(100.0)[:, None] * inside[which]
        which = self._some(rows, self.distortion.white)
        ratio = 10 ** (-self._uniform(self.distortion.white_db, len(which)) / 10)
        white = torch.randn((len(which), len(position)), device=self.device)
        sound[which] += white * (power[which] * ratio).sqrt()[:, None] * inside[which]
        return self._set_level(sound)

    def _reverberate(self, sound: Tensor) -> Tensor:
        """Each row in a random room; the direct sound is not delayed."""
        assert self._rooms is not None
        room = self._tensor(self.rng.integers(len(self._rooms), size=len(sound)))
        samples = sound.shape[1]
        size = samples + self._rooms.shape[1]
        size = 1 << (size - 1).bit_length() if size < 1 << 17 else -(-size // 65536) * 65536
        product = torch.fft.rfft(sound, size) * torch.fft.rfft(self._rooms[room], size)
        return torch.fft.irfft(product, size)[:, :samples]

    def _draw_noise(self, rows: int, position: Tensor) -> Tensor:
        assert self._noise is not None
        first = self._tensor(self.rng.integers(len(self._noise), size=rows))
        return self._noise[(first[:, None] + position) % len(self._noise)].float() / 32768

    def _set_level(self, sound: Tensor) -> Tensor:
        """Scales each row to a random peak, clips some, and rounds to 16 bits."""
        d = self.distortion
        rows = len(sound)
        peak = 10 ** (self._uniform(d.peak_db, rows) / 20)
        peak[self._some(rows, d.clipped)] = float(self.rng.uniform(*d.clipped_peak))
        peak_before = sound.abs().amax(1).clamp_min(1e-5)
        sound = sound * (peak / peak_before)[:, None]
        return torch.round(sound.clamp(-1, 1) * 32767) / 32768

    def _response(self, rows: int) -> Tensor:
        """Factors of power [rows, bins]: the frequency response of a microphone or telephone."""
        d = self.distortion
        rng = self.rng
        grid = np.linspace(0, 1, self.front.settings.bins)
        curve = rng.normal(0, d.tilt, (rows, 1)) * (2 * grid - 1)
        for k in (2, 3, 4):
            wave = np.cos(np.pi * k * grid + rng.uniform(0, np.pi, (rows, 1)))
            curve += rng.normal(0, d.tilt / 2.5, (rows, 1)) * wave
        factor = 10 ** (self._tensor(curve) / 10)
        phones = self._some(rows, d.telephone)
        beyond = self.front.frequencies >= self._uniform(d.telephone_hz, len(phones))[:, None]
        factor[phones] *= torch.where(beyond, 10**-4.5, 1.0)
        return factor

    def _mask(self, features: Tensor, frames: npt.NDArray[np.int64]) -> Tensor:
        """SpecAugment: sets stretches of bins and of frames to the mean."""
        rows, time, bins = features.shape
        masked = torch.zeros((rows, time, bins), dtype=torch.bool, device=self.device)
        for _ in range(self.recipe.frequency_masks):
            width = self.rng.integers(0, self.recipe.frequency_mask_bins + 1, rows)
            masked |= self._stretch(np.full(rows, bins), width, bins)[:, None, :]
        masks = np.maximum(1, (frames * self.recipe.time_masks_per_frame).astype(np.int64))
        for k in range(int(masks.max())):
            width = self.rng.integers(0, self.distortion.mask_frames + 1, rows) * (k < masks)
            masked |= self._stretch(frames, width, time)[:, :, None]
        return features.masked_fill(masked, 0.0)

    def _stretch(self, within: Any, width: Any, size: int) -> Tensor:
        """Bool [rows, size]: true in a random stretch of `width` below `within`."""
        room = np.maximum(1, within - width)
        first = (self.rng.random(len(width)) * room).astype(np.int64)
        begin = self._tensor(first)[:, None]
        end = self._tensor(first + width)[:, None]
        position = torch.arange(size, device=self.device)
        return (position >= begin) & (position < end)


def room_response(recorded: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """A room's impulse response from its direct sound on, scaled to energy 1."""
    samples = recorded.astype(np.float32)
    direct = int(np.argmax(np.abs(samples) >= np.abs(samples).max() / 2))
    response = samples[direct : direct + REVERBERATION]
    response = np.pad(response, (0, REVERBERATION - len(response)))
    return response / np.sqrt(max(float((response**2).sum()), 1.0))
