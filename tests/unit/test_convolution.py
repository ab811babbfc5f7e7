"""The convolution of the step graph gives the sums of the one that is trained."""

import keras
import numpy as np
import pytest
from keras import ops

from ds2edge.train.model.convolution import convolve, convolve_space_to_depth
from ds2edge.train.model.layers import ConvolutionLayer


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding"),
    [
        ((73, 64), (11, 9, 1, 5), (2, 2), (3, 4)),  # recipe edge
        ((35, 161), (5, 11, 1, 5), (2, 4), (3, 4)),
        ((34, 81), (4, 8, 1, 5), (2, 3), (2, 3)),  # a kernel of whole strides in time
        ((20, 33), (3, 5, 1, 5), (1, 2), (2, 2)),
        ((21, 30), (2, 2, 3, 5), (3, 4), (0, 0)),  # a stride longer than the kernel skips cells
        ((9, 16), (3, 3, 1, 5), (1, 1), (1, 1)),
        ((37, 32), (7, 7, 8, 5), (2, 2), (2, 3)),  # the input channels fill the lanes
    ],
)
def test_both_forms_give_the_same(shape, kernel, stride, padding):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, *shape, kernel[2])).astype(np.float32)
    weights = rng.standard_normal(kernel).astype(np.float32)
    plain = ops.convert_to_numpy(convolve(x, weights, stride, padding))
    rearranged = ops.convert_to_numpy(
        convolve_space_to_depth(ops.convert_to_tensor(x), weights, stride, padding)
    )
    assert rearranged.shape == plain.shape
    np.testing.assert_allclose(rearranged, plain, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("frames", "kernel", "stride"),
    [
        (101, (3, 8, 24, 64), 2),  # recipe english; in bfloat16 oneDNN's convolution is wrong here
        (20, (3, 5, 2, 7), 1),
        (12, (2, 3, 1, 4), 3),
        (3, (3, 4, 2, 5), 2),
    ],
)
def test_a_kernel_as_wide_as_the_bins_is_a_matrix_product(frames, kernel, stride, dtype):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, frames, *kernel[1:3])).astype(np.float32)
    weights = (rng.standard_normal(kernel) / np.sqrt(np.prod(kernel[:3]))).astype(np.float32)
    steps = (stride, kernel[1])
    plain = ops.convert_to_numpy(ops.conv(x, weights, strides=steps, padding="valid"))
    product = convolve(ops.cast(x, dtype), ops.cast(weights, dtype), steps, (0, 0))
    assert product.shape == plain.shape
    atol = 1e-4 if dtype == "float32" else 0.05
    np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(product, "float32")), plain, atol=atol)


def test_a_layer_in_bfloat16_gives_nearly_the_outputs_of_float32():
    layer = ConvolutionLayer(64, (3, 8), (2, 8))
    x = np.random.default_rng(0).standard_normal((2, 100, 8, 24)).astype(np.float32)
    valid = np.ones((2, 50), bool)
    expected = ops.convert_to_numpy(layer(x, valid=valid))
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        rounded = ConvolutionLayer(64, (3, 8), (2, 8))
    finally:
        keras.config.set_dtype_policy(policy)
    rounded.build(x.shape)
    rounded.set_weights(layer.get_weights())
    outputs = ops.convert_to_numpy(ops.cast(rounded(x, valid=valid), "float32"))
    np.testing.assert_allclose(outputs, expected, atol=0.05)
