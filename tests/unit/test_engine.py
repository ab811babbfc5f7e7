"""Both engines compute the same, one of them with shared weights; LiteRT's logs are not seen."""

import subprocess
import sys

import numpy as np
import pytest
from support import GOLDEN, SPOKEN

from ds2edge.convert import weight_sharing
from ds2edge.convert.tflite import quantize
from ds2edge.convert.weight_sharing import shares_weights
from ds2edge.runtime import engine
from ds2edge.runtime.engine import load_engine
from ds2edge.runtime.errors import InputError
from ds2edge.runtime.network import Network

needs_sharing = pytest.mark.skipif(
    not engine.can_share_weights(), reason="this LiteRT has no cache of packed weights"
)


def outputs(path, share_weights):
    """Outputs of the step graph for random inputs."""
    loaded, rng = load_engine(path, 1, share_weights), np.random.default_rng(0)
    shapes = loaded.inputs["step"]
    return loaded.run(
        "step",
        {
            name: rng.standard_normal(shape).astype(np.float32)
            for name, shape in sorted(shapes.items())
        },
    )


@needs_sharing
def test_shared_weights_compute_the_same_bits(tiny_int8):
    assert Network(tiny_int8).graph.shares_weights
    plain, shared = (outputs(tiny_int8, share) for share in (False, True))
    graph = Network(tiny_int8).graph
    assert set(shared) == set(plain) == {"logits", *(state.output for state in graph.states)}
    for name, values in plain.items():
        assert shared[name].shape == values.shape
        np.testing.assert_array_equal(shared[name], values)
    assert np.abs(plain["logits"]).max() > 1  # or agreement would mean nothing


@needs_sharing
@pytest.mark.parametrize("names", [["step"], ["first", "second"]])
def test_weights_are_not_shared_where_scales_differ(tmp_path, names):
    """Two products with the same weights but other scales, in one signature and in two.

    LiteRT would use the scales of the first product for both.
    """
    import tensorflow as tf

    module = tf.Module()
    module.weights = tf.Variable(
        np.random.default_rng(0).standard_normal((64, 32)).astype(np.float32)
    )

    def product(values, reach):
        values = tf.quantization.fake_quant_with_min_max_args(values, -reach, reach)
        return tf.quantization.fake_quant_with_min_max_args(
            tf.matmul(values, module.weights), -40, 40
        )

    for reach in (1, 4):
        x, y = (tf.TensorSpec((1, 64), tf.float32, name) for name in "xy")
        both = tf.function(
            lambda x, y, reach=reach: {"a": product(x, 1), "b": product(y, reach)}, [x, y]
        )
        first = tf.function(lambda x: {"a": product(x, 1)}, [x])
        second = tf.function(lambda y, reach=reach: {"b": product(y, reach)}, [y])
        module.functions = {"step": both, "first": first, "second": second}
        tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.functions)
        path = tmp_path / f"{reach}.tflite"
        path.write_bytes(quantize(tmp_path / "saved", names, "int8"))
        assert shares_weights(path) == (reach == 1)


def test_nothing_is_said_of_sharing_where_it_cannot_be_tried(tiny_int8, monkeypatch):
    monkeypatch.setattr(weight_sharing, "can_share_weights", lambda: False)
    assert not shares_weights(tiny_int8)


@needs_sharing
def test_outputs_are_the_callers_own(tiny_int8):
    """Outputs do not change with the next run, although the engine reuses its buffers."""
    network = Network(tiny_int8)
    rng = np.random.default_rng(0)
    frames = [
        rng.standard_normal((network.graph.chunk_frames, 161)).astype(np.float32) for _ in range(2)
    ]
    first, states = network.step(frames[0], network.initial_states())
    kept = first.copy(), {name: state.copy() for name, state in states.items()}
    network.step(frames[1], states)
    np.testing.assert_array_equal(first, kept[0])
    for name, state in states.items():
        np.testing.assert_array_equal(state, kept[1][name])


def run_program(text):
    """Standard output and standard error of a Python program."""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


RECOGNIZE = f"""
from ds2edge.runtime import Recognizer
Recognizer({str(GOLDEN)!r}).stream().finish()
"""


def test_loading_and_running_a_model_prints_nothing():
    output, errors = run_program(RECOGNIZE + "import sys\nprint('last line', file=sys.stderr)")
    assert output == ""
    assert errors.startswith("last line\n")


@pytest.mark.parametrize("registered", ["before", "after"])
def test_what_a_host_program_prints_at_exit_is_kept(registered):
    at_exit = (
        "import atexit, os, sys\n"
        "atexit.register(lambda: (print('goodbye', file=sys.stderr), os.write(2, b'raw\\n')))\n"
    )
    program = at_exit + RECOGNIZE if registered == "before" else RECOGNIZE + at_exit
    _, errors = run_program(program)
    assert sorted(errors.splitlines()[:2]) == ["goodbye", "raw"]


def test_the_command_line_shows_no_log_of_litert(ds2edge):
    done = ds2edge("transcribe", "-m", GOLDEN, next(iter(SPOKEN.values())))
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1
    assert "real-time factor" in done.stderr


def test_a_damaged_model_without_a_checksum_is_verified_before_it_is_compiled(tmp_path):
    flatbuffer = GOLDEN.read_bytes()
    path = tmp_path / "damaged.tflite"
    # An offset that points outside the file: CompiledModel ends the process with SIGSEGV.
    path.write_bytes(flatbuffer[:16] + b"\xff\xff\xff\x7f" + flatbuffer[16 + 4 :])
    with pytest.raises(InputError, match="cannot load this model"):
        load_engine(path, 1, True)
