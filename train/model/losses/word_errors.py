"""The expected number of wrong words, by sampling (minimum word error rate training)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops
from rapidfuzz.distance import Levenshtein

from ds2edge.runtime.decoding.ctc import BLANK, Emission, split_words
from ds2edge.train.model.losses.alignment import Span, align_labels
from ds2edge.train.model.tensor import Tensor

Floats = npt.NDArray[np.float32]
SAMPLES = 8
REACH_SECONDS = 0.32  # a symbol may change the words that are spoken so near to it


class WordErrors:
    """A loss that grows with the words that a text sampled from the outputs gets wrong.

    CTC raises the probability of the whole text, and the WER counts words. So this loss samples
    texts, and makes the symbols of those with fewer errors than the mean more probable (Graves and
    Jaitly 2014, "Towards end-to-end speech recognition with recurrent neural networks", section 4).

    A symbol gets credit only for errors near it. Errors elsewhere in the clip have other causes,
    and would only make the gradient noisy. The place of an error is that of the word in the
    reference. The place in the sample would not do: it depends on the symbols drawn, so the
    gradient would be biased.
    """

    def __init__(self, alphabet: Sequence[str], weight: float, step_seconds: float) -> None:
        """`weight` of an error; a nat of the CTC loss has 1. `step_seconds`: of an output."""
        self.alphabet = list(alphabet)
        self.weight = weight
        self.reach = round(REACH_SECONDS / step_seconds)

    def loss(self, logits: Tensor, labels: Tensor, steps: Tensor) -> Tensor:
        """Loss [clips]: the weight times the mean number of wrong words in the samples of a clip.

        `logits` [clips, time, symbols], of which `steps` [clips] are real; `labels` [clips, n],
        padded with blanks.
        """
        log_probs = ops.log_softmax(ops.cast(logits, "float32"))
        advantages, errors = _on_host(self.sample, log_probs, labels, steps)
        gradient = ops.sum(advantages * log_probs, axis=(1, 2))
        # Only the gradient of this sum is used: it is that of the expected errors.
        return self.weight * (errors + gradient - ops.stop_gradient(gradient))

    def sample(
        self, log_probs: Floats, labels: npt.NDArray[Any], steps: npt.NDArray[Any]
    ) -> tuple[Floats, Floats]:
        """For each output, how many more errors than the mean the samples with it have nearby.

        Returns this, [clips, time, symbols], summed over the samples and divided by their number,
        and the mean number of errors [clips]. The samples depend on the arguments alone, so a
        resumed training draws the same.
        """
        clips, length, _ = log_probs.shape
        texts = [[int(label) for label in row if label != BLANK] for row in labels]
        spans = align_labels(log_probs, texts, steps)
        paths = _sample_paths(log_probs)
        nearby = np.zeros((SAMPLES, clips, length), np.float32)
        errors = np.zeros(clips, np.float32)
        for clip, real in enumerate(steps):
            words, places = self._words(texts[clip], spans[clip])
            for sample, path in enumerate(paths[:, clip, :real].tolist()):
                found = self._read(path)
                places_of_errors = _errors(words, places, found, real)
                errors[clip] += len(places_of_errors) / SAMPLES
                nearby[sample, clip, :real] = self._spread(places_of_errors, real)
        # The mean of the other samples is a baseline that does not depend on this one.
        nearby = (nearby - nearby.mean(0)) / (SAMPLES - 1)
        advantages = np.zeros_like(log_probs)
        rows, times = np.indices((clips, length))
        for path, advantage in zip(paths, nearby, strict=True):
            advantages[rows, times, path] += advantage
        return advantages, errors

    def _read(self, path: list[int]) -> list[str]:
        """The words of a path."""
        symbols = (s for s, before in zip(path, [BLANK, *path], strict=False) if s != before)
        return "".join(self.alphabet[s] for s in symbols if s != BLANK).split()

    def _words(self, labels: list[int], spans: list[Span]) -> tuple[list[str], list[Span]]:
        """The words of a text, and the first and last step of each."""
        emissions = [
            Emission(self.alphabet[label], first, last, 1.0)
            for label, (first, last) in zip(labels, spans, strict=True)
        ]
        words = [word for word in split_words(emissions) if word]
        texts = ["".join(part.text for part in word) for word in words]
        return texts, [(word[0].first, word[-1].last) for word in words]

    def _spread(self, places: list[Span], steps: int) -> Floats:
        """For each step, the number of errors within reach."""
        changes = np.zeros(steps + 1, np.float32)
        for first, last in places:
            changes[max(0, first - self.reach)] += 1
            changes[min(steps, last + self.reach + 1)] -= 1
        return np.cumsum(changes[:-1])


def _errors(words: list[str], places: list[Span], found: list[str], steps: int) -> list[Span]:
    """The place of each error of `found`. A word too many is between its neighbours."""
    errors = []
    for edit in Levenshtein.editops(words, found):
        index = edit.src_pos
        if edit.tag == "insert":
            first = places[index - 1][1] if index else 0
            last = places[index][0] if index < len(places) else steps - 1
            errors.append((first, last))
        else:
            errors.append(places[index])
    return errors


def _sample_paths(log_probs: Floats) -> npt.NDArray[np.int64]:
    """A symbol for each step, with its probability: [SAMPLES, clips, time]."""
    seed = np.frombuffer(np.ascontiguousarray(log_probs[:, :1]).tobytes(), np.uint32)
    rng = np.random.default_rng(seed)
    below = np.cumsum(np.exp(log_probs), axis=-1)
    drawn = rng.random((SAMPLES, *below.shape[:2]), np.float32) * below[..., -1]
    last = below.shape[-1] - 1
    return np.stack([np.minimum((below < d[..., None]).sum(-1), last) for d in drawn])


def _on_host(compute: Any, *arguments: Tensor) -> Sequence[Tensor]:
    """Calls a numpy function that returns arrays shaped like the first argument and its rows.

    No gradient flows through it.
    """
    shape = arguments[0].shape
    backend = keras.backend.backend()
    if backend == "torch":
        arrays = compute(*map(ops.convert_to_numpy, arguments))
        return [ops.convert_to_tensor(array) for array in arrays]
    if backend == "jax":
        import jax

        struct: Any = jax.ShapeDtypeStruct  # it has no types
        results = [struct(shape, np.float32), struct(shape[:1], np.float32)]
        fixed = map(jax.lax.stop_gradient, arguments)
        return list(jax.pure_callback(lambda *a: compute(*map(np.asarray, a)), results, *fixed))
    import tensorflow as tf

    advantages, errors = tf.numpy_function(compute, arguments, [tf.float32, tf.float32])
    advantages.set_shape(shape)
    errors.set_shape(shape[:1])
    return tf.stop_gradient(advantages), tf.stop_gradient(errors)
