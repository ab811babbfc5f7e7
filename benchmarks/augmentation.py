"""What each augmentation does, as pictures, and what it costs, as a table.

    python benchmarks/augmentation.py CLIP --pictures docs/augmentation

Pictures show the spectrogram of a clip before and after (the features of DeepSpeech2, in dB). Costs
are processor time per second of audio, measured on ten seconds made of the clip. --noise and
--rooms name folders of recordings.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.features import Features, FeatureSettings
from ds2edge.train.augmentation.augment import augment_samples, mask_frames
from ds2edge.train.augmentation.noise import add_noise, draw_noise
from ds2edge.train.augmentation.rooms import draw_response, reverberate, simulated_response
from ds2edge.train.augmentation.sound_files import read_piece
from ds2edge.train.augmentation.telephone import CODECS, telephone
from ds2edge.train.recipe import Augmentation

RATE = 16000
FEATURES = Features(FeatureSettings())
OFF = Augmentation(
    speed_probability=0,
    leading_silence=(0, 0),
    noise_probability=0,
    gain_probability=0,
    mask_probability=0,
)
RT60 = Augmentation().room_rt60
Work = Callable[[np.random.Generator], object]
SHOWN = {  # name of a picture -> changes to `OFF`, and seed
    "speed": ({"speed_probability": 1, "speed": (1.1, 1.1)}, 0),
    "room": ({"room_probability": 1, "room_rt60": (0.5, 0.5)}, 0),
    "noise": ({"noise_probability": 1, "noise_snr_db": (10, 10)}, 0),
    "codec": ({"codec_probability": 1}, 0),
    "gain": ({"gain_probability": 1, "gain_db": (-10, -10)}, 0),
    "masks": ({"mask_probability": 1, "time_masks_per_frame": 0.04, "time_mask_share": 0.04}, 1),
}


def draw_pictures(clip: np.ndarray, folder: Path) -> None:
    """Draws one PNG for each augmentation: the clip before and after it."""
    folder.mkdir(parents=True, exist_ok=True)
    before = FEATURES(clip)
    mean = before.mean(0)
    for name, (changes, seed) in SHOWN.items():
        settings = dataclasses.replace(OFF, **changes)
        rng = np.random.default_rng(seed)
        after = FEATURES(augment_samples(clip, RATE, settings, rng))
        after = mask_frames(after - mean, settings, rng) + mean  # masks show the mean
        draw_picture(before, after, name, folder / f"{name}.png")


def draw_picture(before: np.ndarray, after: np.ndarray, name: str, path: Path) -> None:
    """Draws two spectrograms side by side."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from PIL import Image  # comes with matplotlib

    figure, axes = pyplot.subplots(
        1, 2, figsize=(8, 2.2), sharex=True, sharey=True, layout="constrained"
    )
    for axis, frames, title in zip(axes, (before, after), ("before", name), strict=True):
        extent = (0, len(frames) * 0.01, 0, RATE / 2000)
        image = axis.imshow(
            frames.T, origin="lower", aspect="auto", extent=extent, vmin=-80, vmax=-20
        )
        axis.set(title=title, xlabel="s")
    axes[0].set(ylabel="kHz", xlim=(0, max(len(before), len(after)) * 0.01))
    figure.colorbar(image, ax=axes, label="dB", pad=0.01)
    figure.savefig(path, dpi=72)
    pyplot.close(figure)
    # With 256 colours a file has less than half the size.
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


def costs(clip: np.ndarray, noise: str | None, rooms: str | None) -> dict[str, Work]:
    """What to time, by name. Each function takes a generator of random numbers."""
    samples = np.resize(clip, 10 * RATE)
    frames = FEATURES(samples)
    masks = Augmentation(time_masks_per_frame=0.04)
    speed = dataclasses.replace(OFF, speed_probability=1)
    gain = dataclasses.replace(OFF, gain_probability=1)

    def room(folder: str | None) -> Work:
        return lambda rng: reverberate(samples, draw_response(RATE, folder, RT60, rng))

    def noisy(rng: np.random.Generator, folder: str | None) -> np.ndarray:
        # Clips have all lengths, and synthesising takes longest for a prime one.
        length = len(samples) - int(rng.integers(1000))
        return add_noise(samples[:length], draw_noise(length, RATE, folder, rng), 20)

    def noisy_from_disk(rng: np.random.Generator) -> np.ndarray:
        read_piece.cache_clear()
        return noisy(rng, noise)

    work: dict[str, Work] = {
        "features, to compare with": lambda rng: FEATURES(samples),
        "speed": lambda rng: augment_samples(samples, RATE, speed, rng),
        "room, simulated": room(None),
    }
    if rooms:
        work["room, from files"] = room(rooms)
    work["noise, synthesised"] = lambda rng: noisy(rng, None)
    if noise:
        work["noise, from files in memory"] = lambda rng: noisy(rng, noise)
        work["noise, from files on disk"] = noisy_from_disk
    for codec in CODECS:
        work[f"codec, {codec}"] = lambda rng, codec=codec: telephone(samples, RATE, codec)
    work["gain"] = lambda rng: augment_samples(samples, RATE, gain, rng)
    work["masks"] = lambda rng: mask_frames(frames, masks, rng)
    return work


def milliseconds(work: Work, repeats: int) -> float:
    """Processor time per second of audio. A first round, which fills caches, is not counted."""
    for seed in range(repeats):
        work(np.random.default_rng(seed))
    started = time.process_time()
    for seed in range(repeats):
        work(np.random.default_rng(seed))
    return (time.process_time() - started) / repeats / 10 * 1000


@click.command()
@click.argument("clip", type=click.Path(exists=True))
@click.option("--pictures", type=click.Path(path_type=Path), help="Output folder for the pictures.")
@click.option("--noise", type=click.Path(exists=True), help="Folder of noise recordings.")
@click.option("--rooms", type=click.Path(exists=True), help="Folder of impulse responses.")
@click.option("--repeats", default=100, show_default=True, help="Number of runs to average.")
def main(
    clip: str, pictures: Path | None, noise: str | None, rooms: str | None, repeats: int
) -> None:
    """Print what each augmentation of CLIP costs, and draw pictures of what it does."""
    samples = read_audio(clip, RATE)
    if pictures:
        draw_pictures(samples, pictures)
    print("| | ms per second of audio |\n|---|---|")
    for name, work in costs(samples, noise, rooms).items():
        print(f"| {name} | {milliseconds(work, repeats):.2f} |")
    simulated_response.cache_clear()
    started = time.process_time()
    for number in range(20):
        simulated_response(number, RT60, RATE)
    room = (time.process_time() - started) / 20 * 1000
    print(f"\nSimulating a room takes {room:.0f} ms, once in each process.")


if __name__ == "__main__":
    main()
