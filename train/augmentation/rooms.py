"""Reverberation with impulse responses of rooms, recorded or simulated."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ds2edge.runtime.features import Samples
from ds2edge.train.augmentation.sound_files import draw_file, read_piece

ROOMS = 100  # simulated rooms; a process computes each one once, in about 30 ms


def draw_response(
    rate: int, folder: str | None, rt60: tuple[float, float], rng: np.random.Generator
) -> Samples:
    """Draws an impulse response, float32 [n] at `rate` Hz, from the folder or of a simulated room.

    `rt60` is the range of reverberation times of simulated rooms: the seconds in which the sound
    falls by 60 dB. InputError if the folder has no sound file that can be read.
    """
    if folder is None:
        return simulated_response(int(rng.integers(ROOMS)), rt60, rate)
    return read_piece(draw_file(folder, rng), 0, rate)


@lru_cache(maxsize=ROOMS)
def simulated_response(number: int, rt60: tuple[float, float], rate: int) -> Samples:
    """Impulse response of a box-shaped room, by the image source method (Allen & Berkley 1979).

    Room number `number` always has the same size, reverberation time and places of talker and
    microphone.
    """
    # Imported here, since it loads scipy.signal, which takes a second.
    import pyroomacoustics

    # With several threads, the last bits would depend on the number of threads.
    pyroomacoustics.constants.set("num_threads", 1)
    rng = np.random.default_rng(number)
    size = rng.uniform((2.5, 2.5, 2.3), (7.0, 5.0, 3.2))  # metres, from a closet to a living room
    absorption, order = pyroomacoustics.inverse_sabine(rng.uniform(*rt60), size)
    # Two thirds of the order contain all reflections down to -40 dB, in a third of the time.
    max_order = -(-2 * order // 3)
    material = pyroomacoustics.Material(absorption)
    room = pyroomacoustics.ShoeBox(size, fs=rate, materials=material, max_order=max_order)
    talker, microphone = rng.uniform(0.3, size - 0.3, (2, 3))
    room.add_source(talker)
    room.add_microphone(microphone)
    room.compute_rir()
    response: Samples = room.rir[0][0].astype(np.float32)
    response.flags.writeable = False  # the cache returns this array again
    return response


def reverberate(samples: Samples, response: Samples) -> Samples:
    """Reverberates speech, float32 [n] -> [n], without changing its power or delaying it.

    The direct sound is where the response first reaches half of its peak: a reflection may be
    louder, but is never earlier.
    """
    from scipy.signal import oaconvolve  # imported here, since that takes half a second

    magnitude = np.abs(response)
    direct = int(np.argmax(magnitude >= magnitude.max() / 2))
    reverberant = oaconvolve(samples, response)[direct : direct + len(samples)]
    power = float(np.mean(reverberant**2))
    if power == 0:  # silent speech or a silent response
        return samples
    gain = np.sqrt(float(np.mean(samples**2)) / power)
    scaled: Samples = (reverberant * gain).astype(np.float32)
    return scaled
