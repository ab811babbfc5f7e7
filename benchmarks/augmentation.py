"""What each augmentation does, as pictures, and what it costs, as a table.

    python benchmarks/augmentation.py train/data/mini/audio/kokoro-bf_lily_006.ogg --pictures docs/augmentation

Pictures show the clip before and after, as the front end hears it (DeepSpeech2's spectrogram, dB). Costs are processor
time per second of audio, of ten seconds of the clip, repeated. --noise and --rooms add folders of recorded sounds.
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
SHOWN = {  # name -> what is drawn for the picture, and under which seed
    "speed": ({"speed_probability": 1, "speed": (1.1, 1.1)}, 0),
    "room": ({"room_probability": 1, "room_rt60": (0.5, 0.5)}, 0),
    "noise": ({"noise_probability": 1, "noise_snr_db": (10, 10)}, 0),
    "codec": ({"codec_probability": 1}, 0),
    "gain": ({"gain_probability": 1, "gain_db": (-10, -10)}, 0),
    "masks": ({"mask_probability": 1, "time_masks_per_frame": 0.04, "time_mask_share": 0.04}, 1),
}


def draw_pictures(clip: np.ndarray, folder: Path) -> None:
    """One PNG for each augmentation: the clip as it was and as it became."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from PIL import Image  # comes with matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    before = FEATURES(clip)
    for name, (changes, seed) in SHOWN.items():
        settings, rng = dataclasses.replace(OFF, **changes), np.random.default_rng(seed)
        after = FEATURES(augment_samples(clip, RATE, settings, rng))
        after = mask_frames(after - before.mean(0), settings, rng) + before.mean(
            0
        )  # masks show the mean
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
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=72)
        Image.open(path).convert("RGB").quantize(256).save(
            path, optimize=True
        )  # less than half the size
        pyplot.close(figure)


def costs(
    clip: np.ndarray, noise: str | None, rooms: str | None
) -> dict[str, Callable[[np.random.Generator], object]]:
    """What is timed, by name; each is given a generator and works on the clip."""
    samples = np.resize(clip, 10 * RATE)
    size, frames, masks = len(samples), FEATURES(samples), Augmentation(time_masks_per_frame=0.04)
    speed = dataclasses.replace(OFF, speed_probability=1)
    gain = dataclasses.replace(OFF, gain_probability=1)

    def in_noise(rng: np.random.Generator, folder: str | None) -> np.ndarray:
        # Clips are of any length, and a prime one takes longest to synthesise noise for.
        length = size - int(rng.integers(1000))
        return add_noise(samples[:length], draw_noise(length, RATE, folder, rng), 20)

    def from_disk(rng: np.random.Generator) -> np.ndarray:
        read_piece.cache_clear()
        return in_noise(rng, noise)

    return {
        "features, to compare with": lambda rng: FEATURES(samples),
        "speed": lambda rng: augment_samples(samples, RATE, speed, rng),
        "room, simulated": lambda rng: reverberate(samples, draw_response(RATE, None, RT60, rng)),
        **(
            {
                "room, from files": lambda rng: reverberate(
                    samples, draw_response(RATE, rooms, RT60, rng)
                )
            }
            if rooms
            else {}
        ),
        "noise, synthesised": lambda rng: in_noise(rng, None),
        **(
            {
                "noise, from files, read before": lambda rng: in_noise(rng, noise),
                "noise, from files, not yet read": from_disk,
            }
            if noise
            else {}
        ),
        **{
            f"codec, {codec}": lambda rng, codec=codec: telephone(samples, RATE, codec)
            for codec in CODECS
        },
        "gain": lambda rng: augment_samples(samples, RATE, gain, rng),
        "masks": lambda rng: mask_frames(frames, masks, rng),
    }


def milliseconds(work: Callable[[np.random.Generator], object], repeats: int) -> float:
    """Processor time for each second of audio; the first round, which fills caches, does not count."""
    for seed in range(repeats):
        work(np.random.default_rng(seed))
    started = time.process_time()
    for seed in range(repeats):
        work(np.random.default_rng(seed))
    return (time.process_time() - started) / repeats / 10 * 1000


@click.command()
@click.argument("clip", type=click.Path(exists=True))
@click.option("--pictures", type=click.Path(path_type=Path), help="Folder for the pictures.")
@click.option("--noise", type=click.Path(exists=True), help="Folder of noise.")
@click.option("--rooms", type=click.Path(exists=True), help="Folder of impulse responses.")
@click.option("--repeats", default=100, show_default=True)
def main(
    clip: str, pictures: Path | None, noise: str | None, rooms: str | None, repeats: int
) -> None:
    """Prints the table, draws the pictures."""
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
    print(
        f"\nTo simulate a room: {(time.process_time() - started) / 20 * 1000:.0f} ms, once in each process."
    )


if __name__ == "__main__":
    main()
