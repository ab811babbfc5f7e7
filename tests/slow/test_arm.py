"""Emulated Raspberry Pis, with the wheels that their pip chooses, transcribe as this machine."""

import contextlib
import json
import zipfile

import numpy as np
import pytest
import record_logits
import soundfile
import soxr
from emulation import EmulatedBoard, System, Unavailable, fetch_emulators
from support import GOLDEN, RATE, SPOKEN

from ds2edge.devices.deploy import build_wheel
from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.errors import InputError

pytestmark = pytest.mark.slow

CONFORMER = GOLDEN.with_name("mini-conformer.tflite")
ARMV7 = GOLDEN.with_name("mini-armv7.tflite")
# How far the logits of tflite-runtime 2.14.0 on Arm may differ, in levels of int8. In the 112 test
# clips of the embedded corpus they differ by 4 at most and by 0.46 on average. Those of the other
# golden model differ by 0.86 on average.
MOST_LEVELS = 5
MEAN_LEVELS = 0.6

# Raspberry Pi 3 and Zero 2 W, 4, 5.
BOOKWORM = System("bookworm", "arm64", "qemu-aarch64", ("cortex-a53", "cortex-a72", "cortex-a76"))
TRIXIE = System("trixie", "arm64", "qemu-aarch64", ("cortex-a76",))
BOOKWORM_32 = System(
    "bookworm",
    "armhf",
    "qemu-arm",
    ("cortex-a15",),
    (*BOOKWORM.packages, "python3-numpy", "python3-cffi", "libsndfile1"),
)


@contextlib.contextmanager
def skipping():
    """Skips the test if this machine or the network cannot provide the board."""
    try:
        yield
    except (Unavailable, InputError) as problem:
        pytest.skip(str(problem))


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A function that makes the board of a system, with the wheel of this checkout."""
    kit = tmp_path_factory.mktemp("kit")
    with skipping():
        emulators = fetch_emulators()
        with zipfile.ZipFile(build_wheel(tmp_path_factory.mktemp("wheel"))) as wheel:
            wheel.extractall(kit)

    def make(system):
        with skipping():
            return EmulatedBoard(system, kit, emulators)

    return make


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """The spoken clips as 16 kHz WAV, so that every board reads the same samples."""
    folder = tmp_path_factory.mktemp("clips")
    paths = [folder / f"{number}.wav" for number in range(len(SPOKEN))]
    for path, spoken in zip(paths, SPOKEN.values(), strict=True):
        soundfile.write(path, read_audio(spoken, RATE), RATE, subtype="PCM_16")
    return paths


@pytest.fixture(scope="module")
def fast_clip(clips):
    """The first clip at 48 kHz."""
    path = clips[0].with_name("fast.flac")
    soundfile.write(path, soxr.resample(read_audio(clips[0], RATE), RATE, 48000), 48000)
    return path


def transcribe(board, processor, model, *clips):
    return board.python(
        processor, "-m", "ds2edge.runtime.cli", "transcribe", "--json", "-m", model, *clips
    )


def texts(done):
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["text"] for line in done.stdout.splitlines()]


def logits_there_and_here(board, processor, model, clips, folder):
    done = board.python(processor, record_logits.__file__, model, folder / "logits.npz", *clips)
    assert done.returncode == 0, done.stderr
    here = record_logits.record(model, clips)
    with np.load(folder / "logits.npz") as there:
        return np.concatenate([there[name] for name in here]), np.concatenate(list(here.values()))


SYSTEMS = [
    pytest.param(BOOKWORM, id="bookworm"),
    pytest.param(TRIXIE, id="trixie", marks=pytest.mark.long),
]
# Raspberry Pi 3 here; the other processors in the long tests.
PROCESSORS = [
    pytest.param(s, p, id=f"{s.suite}-{p}", marks=() if p == "cortex-a53" else pytest.mark.long)
    for s in (BOOKWORM, TRIXIE)
    for p in s.processors
]


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_64_bit_board_gives_the_same_text(board, clips, fast_clip, system):
    done = transcribe(board(system), system.processors[0], GOLDEN, *clips, fast_clip)
    assert texts(done) == [*SPOKEN, next(iter(SPOKEN))]


@pytest.mark.parametrize("model", [GOLDEN, CONFORMER], ids=["gru", "conformer"])
@pytest.mark.parametrize(("system", "processor"), PROCESSORS)
def test_a_64_bit_board_computes_the_same_logits_bit_for_bit(
    board, clips, tmp_path, system, processor, model
):
    there, here = logits_there_and_here(board(system), processor, model, clips, tmp_path)
    assert here.std() > 1
    np.testing.assert_array_equal(there, here)


def test_a_32_bit_board_gives_the_same_text_with_the_armv7_model(board, ds2edge, clips, tmp_path):
    pi = board(BOOKWORM_32)
    (processor,) = BOOKWORM_32.processors
    assert texts(transcribe(pi, processor, ARMV7, *clips)) == list(SPOKEN)
    assert texts(ds2edge("transcribe", "--json", "-m", ARMV7, *clips)) == list(SPOKEN)
    there, here = logits_there_and_here(pi, processor, ARMV7, clips, tmp_path)
    levels = np.abs(there - here) / np.diff(np.unique(here)).min()
    assert levels.max() < MOST_LEVELS + 0.5
    assert levels.mean() < MEAN_LEVELS


def test_a_32_bit_board_refuses_what_it_cannot_do_in_one_line(board, clips, fast_clip):
    pi = board(BOOKWORM_32)
    (processor,) = BOOKWORM_32.processors
    wrong_mode = "cannot run a model of mode int8: make one with `ds2edge convert --mode armv7`"
    no_soxr = "pip install soxr, or give sound at 16000 Hz"
    for model, clip, says in ((GOLDEN, clips[0], wrong_mode), (ARMV7, fast_clip, no_soxr)):
        done = transcribe(pi, processor, model, clip)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert says in done.stderr
