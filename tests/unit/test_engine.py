"""Both ways to run a graph say the same, and one of them shares the weights of an unrolled graph."""

import subprocess
import sys

import numpy as np
import pytest
from support import GOLDEN

from ds2edge.convert.inspection import shares_weights
from ds2edge.convert.quantizer import quantize
from ds2edge.runtime import engine
from ds2edge.runtime.engine import load_engine
from ds2edge.runtime.network import Network

needs_sharing = pytest.mark.skipif(not engine.can_share_weights(), reason="this LiteRT has no cache of packed weights")


def outputs(path, share_weights):
    """Of the step graph for random inputs."""
    loaded, random = load_engine(path, 1, share_weights), np.random.default_rng(0)
    shapes = loaded.inputs["step"]
    return loaded.run(
        "step", {name: random.standard_normal(shape).astype(np.float32) for name, shape in sorted(shapes.items())}
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
    assert np.abs(plain["logits"]).max() > 1  # it does say something


@needs_sharing
def test_weights_are_not_shared_where_scales_differ(tmp_path):
    """LiteRT would take the scales of the first of two products with the same weights for both."""
    import tensorflow as tf

    module = tf.Module()
    module.weights = tf.Variable(np.random.default_rng(0).standard_normal((64, 32)).astype(np.float32))

    def products(x, y, range_of_second):
        first = tf.quantization.fake_quant_with_min_max_args(x, -1, 1)
        second = tf.quantization.fake_quant_with_min_max_args(y, -range_of_second, range_of_second)
        return {
            name: tf.quantization.fake_quant_with_min_max_args(tf.matmul(values, module.weights), -40, 40)
            for name, values in (("first", first), ("second", second))
        }

    for range_of_second in (1, 4):
        signature = [tf.TensorSpec((1, 64), tf.float32, name) for name in "xy"]
        step = tf.function(lambda x, y, r=range_of_second: products(x, y, r), signature)
        module.step = step
        tf.saved_model.save(module, str(tmp_path / "saved"), signatures={"step": step})
        path = tmp_path / f"{range_of_second}.tflite"
        path.write_bytes(quantize(tmp_path / "saved", ["step"], "int8"))
        assert shares_weights(path) == (range_of_second == 1)


@needs_sharing
def test_outputs_are_the_callers_own(tiny_int8):
    """The engine writes into buffers of its own at every run: what it has given away must not change."""
    network = Network(tiny_int8)
    random = np.random.default_rng(0)
    frames = [random.standard_normal((network.graph.chunk_frames, 161)).astype(np.float32) for _ in range(2)]
    first, states = network.step(frames[0], network.initial_states())
    kept = first.copy(), {name: state.copy() for name, state in states.items()}
    network.step(frames[1], states)
    np.testing.assert_array_equal(first, kept[0])
    for name, state in states.items():
        np.testing.assert_array_equal(state, kept[1][name])


def test_litert_is_not_heard():
    """It writes to standard error when it is loaded, first used and let go."""
    program = f"from ds2edge.runtime import Recognizer\nRecognizer({str(GOLDEN)!r}).stream().finish()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
