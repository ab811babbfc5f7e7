"""Training on a GPU: its samples and its features are those of the kit."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support import RATE, babble

from ds2edge.runtime.audio.reader import read_audio
from ds2edge.runtime.features import Features, FeatureSettings
from ds2edge.train.data.manifest import Clip

torch = pytest.importorskip("torch", reason="torch is not installed: training on a GPU needs it")
sys.path.append(str(Path(__file__).parents[2] / "train" / "pretrained" / "gpu"))
import clips  # noqa: E402
import kernels  # noqa: E402
import sound  # noqa: E402


def place(start, length, offset, speed, gain) -> kernels.Placement:
    gain = np.array(gain, np.float32)
    columns = (start, length, offset, speed, gain)
    return kernels.Placement(*(torch.from_numpy(np.array(column)) for column in columns))


@pytest.fixture
def recorded(tmp_path):
    manifest = []
    for i in range(3):
        soundfile.write(tmp_path / f"{i}.wav", babble(0.3 + 0.1 * i, seed=i), RATE)
        clip = Clip(tmp_path / f"{i}.wav", "One!", 0.3 + 0.1 * i, "train", weight=1.0 - i / 2)
        manifest.append(clip)
    return manifest


def test_samples_are_those_that_the_kit_reads_and_a_cut_at_speed_1_is_exact(recorded):
    speech = clips.read_speech(recorded, RATE, lambda text: [len(text)])
    assert len(speech.clips) == 2  # the third has weight 0
    assert (speech.texts[0], speech.labels[0]) == ("one", [3])
    whole = [read_audio(clip.audio, RATE) for clip in recorded[:2]]
    placement = place(
        [[100, 6000]], [speech.samples], [speech.offset], speed=[[1.0, 1.0]], gain=[[1.0, 0.5]]
    )
    row = kernels.cut_plainly(torch.from_numpy(speech.pcm), placement, 14000)[0].numpy()
    expected = np.zeros(14000, np.float32)
    expected[100 : 100 + len(whole[0])] = whole[0]
    expected[6000 : 6000 + len(whole[1])] += whole[1] / 2
    np.testing.assert_allclose(row, expected, rtol=0, atol=2**-24)  # a 16-bit step is 2^-15


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU for the Triton kernels")
def test_kernels_compute_what_their_plain_versions_do():
    rng = np.random.default_rng(1)
    pcm = torch.from_numpy(rng.integers(-20000, 20000, 9000).astype(np.int16))
    placement = place(
        [[100, 3000]], [[2500, 4000]], [[0, 4000]], speed=[[1.1, 0.9]], gain=[[1.0, 1.0]]
    )
    fast = kernels.cut(pcm.cuda(), placement.to("cuda"), 8000).cpu()
    torch.testing.assert_close(fast, kernels.cut(pcm, placement, 8000), rtol=0, atol=1e-5)
    loudness = torch.from_numpy(rng.normal(-70, 20, (3, 200, 1)).astype(np.float32))
    fast = kernels.follow(loudness.cuda(), 0.2, 0.003, -90.0).cpu()
    torch.testing.assert_close(fast, kernels.follow(loudness, 0.2, 0.003, -90.0))


def test_a_tone_at_speed_1_1_is_1_1_times_as_high():
    tone = np.round(20000 * np.sin(2 * np.pi * 500 / RATE * np.arange(8000))).astype(np.int16)
    placement = place([[0]], [[8000]], [[0]], speed=[[1.1]], gain=[[1.0]])
    row = kernels.cut(torch.from_numpy(tone), placement, 7000)[0].numpy()
    expected = 20000 / 32768 * np.sin(2 * np.pi * 550 / RATE * np.arange(7000))
    np.testing.assert_allclose(row[100:-100], expected[100:-100], atol=5e-3)


@pytest.mark.parametrize("rise", [0.0, 0.2])
@pytest.mark.parametrize("bands", [0, 64])
def test_the_front_end_is_that_of_the_kit(rise, bands):
    bounds = {"floor_db": -60.0, "ceiling_db": 40.0} if rise else {}
    settings = FeatureSettings(mel_bands=bands, level_rise=rise, **bounds)
    rng = np.random.default_rng(1)
    samples = (rng.standard_normal((2, 8000)) * [[0.1], [0.001]]).astype(np.float32)
    samples[:, :1600] = 0  # digital silence before the sound
    samples[0, 4000:] /= 30
    front = sound.FrontEnd(settings, torch.device("cpu"))
    levels = front.decibels(front.power(torch.from_numpy(samples))).numpy()
    for row, row_levels in zip(samples, levels, strict=True):
        np.testing.assert_allclose(row_levels, Features(settings)(row), atol=1e-3)


def test_rows_hold_whole_clips_one_after_the_other(recorded):
    speech = clips.read_speech(recorded, RATE, lambda text: [1])
    drawing = clips.Drawing(speech, np.array([0.7, 0.3]), RATE, (0.9, 1.1), 0.5, seed=1)
    batches = drawing.draw(20, 4.0)
    assert {clip for rows in batches for clip in rows.clip.ravel().tolist()} == {-1, 0, 1}
    for rows in batches:
        assert len(rows.ends) == 1 or len(rows.ends) * rows.ends.max() <= 4 * RATE
        length = (speech.samples[rows.clip] / rows.speed).astype(int) * (rows.clip >= 0)
        assert (rows.start[:, 1:] >= (rows.start + length)[:, :-1]).all()
        np.testing.assert_array_equal(rows.ends, (rows.start + length).max(1))


def test_a_share_of_the_seconds_is_synthetic(recorded):
    speech = clips.read_speech(recorded, RATE, lambda text: [1])
    chances = clips.shares(speech, [False, True], 0.3) * speech.samples
    assert chances[1] / chances.sum() == pytest.approx(0.3)
