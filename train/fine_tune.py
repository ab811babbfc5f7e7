"""Weights of another run to begin with: fine-tuning, also with another alphabet."""

from __future__ import annotations

from collections.abc import Sequence

from keras import ops

from ds2edge.runtime.errors import InputError
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.run import Run


def copy_weights(parent: Run, model: DeepSpeech2, alphabet: Sequence[str]) -> None:
    """Gives `model`, whose outputs are `alphabet`, the best weights of `parent`.

    Outputs go by their symbol; those of symbols that the parent does not know stay as they are. InputError, before
    anything is changed, if a weight has another shape: the recipe's [model] must be the parent's.
    """
    other = parent.best_model()
    pairs = [
        (weight, source)
        for weight, source in zip(model.weights, other.weights, strict=False)
        if not any(weight is own for own in model.dense.weights)
    ]
    different = [weight.path for weight, source in pairs if weight.shape != source.shape]
    if len(model.weights) != len(other.weights) or different:
        raise InputError(
            f"{parent.folder}: its model has another shape{f' ({different[0]})' if different else ''}: "
            "give a recipe with the same [model]"
        )
    for weight, source in pairs:
        weight.assign(source)
    kernel, bias = (
        ops.convert_to_numpy(weight).copy() for weight in (model.dense.kernel, model.dense.bias)
    )
    known = {symbol: index for index, symbol in enumerate(parent.specification.alphabet)}
    for index, symbol in enumerate(alphabet):
        if symbol in known:
            kernel[:, index] = ops.convert_to_numpy(other.dense.kernel)[:, known[symbol]]
            bias[index] = ops.convert_to_numpy(other.dense.bias)[known[symbol]]
    model.dense.kernel.assign(kernel)
    model.dense.bias.assign(bias)
