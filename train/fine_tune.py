"""Copies the weights of one run into the model of another, also if their alphabets differ."""

from __future__ import annotations

from collections.abc import Sequence

from keras import ops

from ds2edge.runtime.errors import InputError
from ds2edge.train.model.deepspeech2 import DeepSpeech2
from ds2edge.train.run import Run


def copy_weights(parent: Run, model: DeepSpeech2, alphabet: Sequence[str]) -> None:
    """Gives `model`, whose outputs are `alphabet`, the best weights of `parent`.

    Outputs are matched by their symbol. Outputs of symbols that the parent lacks keep their
    weights. InputError, before any change, if a weight has another shape.
    """
    source = parent.best_model()
    if len(model.weights) != len(source.weights):
        raise _other_shape(parent, "")
    pairs = [
        (target, weight)
        for target, weight in zip(model.weights, source.weights, strict=True)
        if not any(target is own for own in model.dense.weights)
    ]
    for target, weight in pairs:
        if target.shape != weight.shape:
            raise _other_shape(parent, f" ({target.path})")
    for target, weight in pairs:
        target.assign(weight)
    _copy_outputs(source, model, parent.specification.alphabet, alphabet)


def _copy_outputs(
    source: DeepSpeech2, model: DeepSpeech2, known: Sequence[str], alphabet: Sequence[str]
) -> None:
    """Copies column and bias of each symbol that both models have."""
    kernel = ops.convert_to_numpy(model.dense.kernel).copy()
    bias = ops.convert_to_numpy(model.dense.bias).copy()
    source_kernel = ops.convert_to_numpy(source.dense.kernel)
    source_bias = ops.convert_to_numpy(source.dense.bias)
    columns = {symbol: column for column, symbol in enumerate(known)}
    for index, symbol in enumerate(alphabet):
        if symbol in columns:
            kernel[:, index] = source_kernel[:, columns[symbol]]
            bias[index] = source_bias[columns[symbol]]
    model.dense.kernel.assign(kernel)
    model.dense.bias.assign(bias)


def _other_shape(parent: Run, weight: str) -> InputError:
    return InputError(
        f"{parent.folder}: its model has another shape{weight}: give a recipe with the same [model]"
    )
