"""The kit's GRU has the outputs and gradients of Keras's GRU."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ds2edge.train.model.fast_gru import FastGRU

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow" or bool(keras.distribution.list_devices("gpu")),
    reason="only tensorflow on a CPU runs the kit's own code",
)


@pytest.mark.parametrize(("policy", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 0.05)])
def test_outputs_and_gradients_are_those_of_keras(policy, tolerance):
    """The graph is traced once for all lengths, as `fit` traces it."""
    rng = np.random.default_rng(0)
    ours, theirs = (
        layer(6, return_sequences=True, dtype=policy) for layer in (FastGRU, keras.layers.GRU)
    )
    for layer in (ours, theirs):
        layer.build((None, None, 5))
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        mine.assign(rng.standard_normal(mine.shape))
        other.assign(mine)

    def traced(layer):
        @tf.function(
            input_signature=[tf.TensorSpec((None, None, 5)), tf.TensorSpec((None, None, 6))]
        )
        def run(x, weights):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x)
                loss = tf.reduce_sum(tf.cast(y, "float32") * weights)
            return [
                y,
                *tape.gradient(
                    loss, [x, *(variable.value for variable in layer.trainable_variables)]
                ),
            ]

        return run

    runs = traced(ours), traced(theirs)
    for batch, steps in ((3, 9), (2, 1)):
        x, weights = (rng.standard_normal((batch, steps, n)).astype(np.float32) for n in (5, 6))
        for mine, other in zip(*(run(x, weights) for run in runs), strict=True):
            mine, other = (np.asarray(tf.cast(tensor, "float32")) for tensor in (mine, other))
            assert mine.shape == other.shape
            assert np.abs(mine - other).max() <= tolerance * np.abs(other).max()


def test_the_loop_over_the_steps_holds_a_single_product():
    """Keras's own layer also projects the input in its loop. A silent fallback to it fails here."""
    layer = FastGRU(6, return_sequences=True)
    concrete = tf.function(layer).get_concrete_function(tf.TensorSpec((None, None, 5)))
    graph = concrete.graph.as_graph_def()
    loops = [node for node in graph.node if node.op in ("While", "StatelessWhile")]
    assert len(loops) == 1
    body_name = loops[0].attr["body"].func.name
    (body,) = (f for f in graph.library.function if f.signature.name == body_name)
    assert [node.op for node in body.node_def].count("MatMul") == 1
