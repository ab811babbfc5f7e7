"""Reverberation: impulse responses of rooms, recorded or simulated, and what speech becomes in them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ds2edge.runtime.features import Samples
from ds2edge.train.augmentation.sound_files import read_piece, sound_files

ROOMS = 100  # different simulated ones: a process computes each once, in some 30 ms


def draw_response(
    rate: int, folder: str | None, rt60: tuple[float, float], rng: np.random.Generator
) -> Samples:
    """Impulse response, float32 [n] at `rate` Hz: a file of the folder or, without one, a simulated room's.

    `rt60`: seconds in which a simulated room's sound falls by 60 dB, from and to. InputError if the folder holds no
    sound file, or one that cannot be read.
    """
    if folder is None:
        return simulated_response(int(rng.integers(ROOMS)), rt60, rate)
    files = sound_files(folder)
    return read_piece(files[rng.integers(len(files))], 0, rate)


@lru_cache(maxsize=ROOMS)
def simulated_response(number: int, rt60: tuple[float, float], rate: int) -> Samples:
    """From a talker to a microphone somewhere in a box-shaped room, by the image source method (Allen & Berkley 1979).

    The number is the seed of size, reverberation time and places: the same number is the same room.
    """
    import pyroomacoustics  # here, since it draws in scipy.signal: a second for those who simulate no room

    # With several threads the last bits of a response would depend on how many the machine has.
    pyroomacoustics.constants.set("num_threads", 1)
    rng = np.random.default_rng(number)
    size = rng.uniform((2.5, 2.5, 2.3), (7.0, 5.0, 3.2))  # metres, from a closet to a living room
    absorption, order = pyroomacoustics.inverse_sabine(rng.uniform(*rt60), size)
    # Two thirds of the order hold every reflection down to -40 dB, for a third of the time.
    room = pyroomacoustics.ShoeBox(
        size, fs=rate, materials=pyroomacoustics.Material(absorption), max_order=-(-2 * order // 3)
    )
    talker, microphone = rng.uniform(0.3, size - 0.3, (2, 3))
    room.add_source(talker)
    room.add_microphone(microphone)
    room.compute_rir()
    response: Samples = room.rir[0][0].astype(np.float32)
    response.flags.writeable = False  # the next caller gets the same array
    return response


def reverberate(samples: Samples, response: Samples) -> Samples:
    """Speech as heard in the room: float32 [n] -> [n], at the same power, the direct sound where the speech was.

    The direct sound is where the response first reaches half of its peak: a reflection may be louder, never earlier.
    """
    from scipy.signal import oaconvolve  # here, since it takes half a second to import

    magnitude = np.abs(response)
    direct = int(np.argmax(magnitude >= magnitude.max() / 2))
    heard = oaconvolve(samples, response)[direct : direct + len(samples)]
    power = float(np.mean(heard**2))
    if power == 0:  # a silent clip, or a silent response: nothing to restore the level of
        return samples
    return (heard * np.sqrt(float(np.mean(samples**2)) / power)).astype(np.float32)
