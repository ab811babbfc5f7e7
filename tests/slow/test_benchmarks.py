"""The benchmarks of the int8 graph, on a model too small to say anything about speed."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import GOLDEN

from ds2edge.train.run import PRETRAINED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


def run(script, *arguments):
    command = [sys.executable, BENCHMARKS / script, *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def figures(script, folder, *arguments):
    """The figures that a benchmark writes, and the targets that it reports as missed.

    The exit code must agree with the missed targets.
    """
    path = folder / "figures.json"
    done = run(script, *arguments, "-o", path)
    assert done.returncode in (0, 1), done.stderr
    missed = re.findall("^target missed: (.*)$", done.stdout, re.MULTILINE)
    assert done.returncode == bool(missed), done.stderr
    return json.loads(path.read_text()), missed


@pytest.fixture(scope="module")
def tiny(tiny_toml, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny") / "run"
    done = run("random_run.py", folder, "--recipe", tiny_toml)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_bound_is_counted_from_the_shapes_and_measured(tiny, tmp_path):
    found, missed = figures("int8_limit.py", tmp_path, tiny, "--chunk-steps", 4, "--rounds", 20)
    recurrent = 2 * 24 * 3 * 24
    bins = 14  # a third of a fourth of 161, each rounded up
    dense = (4 * bins + 24) * 3 * 24 + 4 * 24 + 24 * 29
    first = 5 * 11 * 4  # convolutions
    second = 3 * 7 * 4 * 4
    assert found["bytes_per_step"] == recurrent
    assert found["bytes_per_chunk"] == 4 * recurrent + dense + first + second
    assert found["macs_per_chunk"] == 4 * (recurrent + dense + 41 * first + bins * second)
    assert set(found["milliseconds"]) == set(found["of_bound"])
    assert all(spent > 0 for spent in found["milliseconds"].values())
    assert found["of_bound"][found["bound"]] == 1
    # The products are a part of the graph. They take longer than the whole only by chance.
    assert found["milliseconds"]["products"] < 1.2 * found["milliseconds"]["graph"]
    assert found["partitions"] == 1
    assert any("of the bound" in line for line in missed) == (found["of_bound"]["graph"] < 0.5)
    assert any("size" in line for line in missed) == (found["of_float32_file"] > 0.27)


@pytest.mark.long
def test_longer_chunks_compute_less_and_wait_longer(tiny, tmp_path):
    rows, _ = figures("chunk_lengths.py", tmp_path, tiny, "--rounds", 10)
    assert [row["chunk, ms"] for row in rows] == [80, 160, 320, 640, 1280]  # steps of 20 ms
    assert [row["steps"] for row in rows] == [4, 8, 16, 32, 64]
    cost = [row["ms per second of audio"] for row in rows]
    assert cost[0] > cost[-1] > 0  # what is done once a chunk is done less often
    lookahead = 60
    assert all(row["longest wait, ms"] >= row["chunk, ms"] + lookahead for row in rows)


@pytest.mark.long
def test_cells_are_compared_at_equal_weights(tiny_toml, tmp_path):
    recipe = tmp_path / "qrnn.toml"
    recipe.write_text(tiny_toml.read_text().replace("[model]", '[model]\ncell = "qrnn"'))
    rows, missed = figures("cells.py", tmp_path, "--recipe", recipe, "--rounds", 10)
    assert [row["cell"] for row in rows] == ["qrnn", "gru", "lstm"]
    weights = [row["weights"] for row in rows]
    assert max(weights) < 1.3 * min(weights)  # biases and norms matter in networks this small
    gru = next(row for row in rows if row["cell"] == "gru")
    assert bool(missed) == (gru["relative to qrnn"] < 2)


@pytest.mark.long
def test_the_usual_ways_compute_the_same_network(tiny, tmp_path):
    pytest.importorskip("tf_keras")
    found, missed = figures("conversions.py", tmp_path, tiny, "--chunk-steps", 4, "--rounds", 10)
    rows = {row["way"]: row for row in found["ways"]}
    assert set(rows) | set(found["failed"]) >= {
        *("kit int8", "kit dynamic", "kit float32", "kit int8, default Interpreter"),
        *("while float32", "while dynamic", "while int8"),
        *("unrolled float32", "unrolled dynamic", "unrolled int8"),
        *("fused LSTM float32", "fused LSTM int8"),
    }
    # Which conversions fail may change with the version of the converter. The others must work.
    assert set(found["failed"]) <= {"while int8"}
    for way, row in rows.items():
        least = 80 if "float32" in way else 15
        assert row["SNR, dB"] is None if "LSTM" in way else row["SNR, dB"] > least, way
        assert row["float inside"] == ("no" if "int8" in way else "yes"), way
        assert row["to kit int8"] > 0
    assert rows["kit int8"]["to kit int8"] == 1
    assert rows["kit int8"]["partitions"] == 1
    for way, row in rows.items():
        if "float32" in way and "LSTM" not in way:
            reported = any(
                f"as fast as {way}, below 4" in line or line.startswith(f"{way} takes")
                for line in missed
            )
            assert reported == (row["to kit int8"] < 4), way


def test_a_graph_is_as_fast_as_itself(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from engines import ENGINES, silent_step
    from timing import in_turns, ratio

    for engine in ENGINES.values():
        times = in_turns({name: silent_step(engine(GOLDEN)) for name in ("one", "other")}, 60)
        assert 0.67 < ratio(times["one"], times["other"]) < 1.5


def test_a_learning_curve_is_in_the_order_of_hours(tmp_path):
    for name, hours, epochs in (("all", 8.0, 3), ("half", 4.0, 2)):
        shutil.copytree(PRETRAINED, tmp_path / name)
        specification = json.loads((tmp_path / name / "specification.json").read_text())
        specification["training"]["training_hours"] = hours
        (tmp_path / name / "specification.json").write_text(json.dumps(specification))
        with (tmp_path / name / "log.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["epoch", "loss", "dev_wer", "dev_cer", "seconds"])
            rows.writerows(
                [epoch, 9.0, 90 - epoch, 40 - epoch, 90] for epoch in range(1, epochs + 1)
            )
    done = run(
        "learning_curve.py", tmp_path / "all", tmp_path / "half", "-o", tmp_path / "curve.png"
    )
    assert done.returncode == 0, done.stderr
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in done.stdout.splitlines()[2:]
    ]
    assert [row[1:4] for row in rows] == [["4.00", "2", "3"], ["8.00", "3", "4"]]
    assert rows[0][4:] == rows[1][4:]  # the two runs have the same weights
    assert (tmp_path / "curve.png").stat().st_size > 10_000
