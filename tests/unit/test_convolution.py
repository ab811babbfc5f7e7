"""The convolution of the step graph gives the sums of the one that is trained."""

import numpy as np
import pytest
from keras import ops

from ds2edge.train.model.convolution import convolve, convolve_space_to_depth


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
