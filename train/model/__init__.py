"""The DeepSpeech2 model in Keras. Saved `.keras` files name its class by this package, so it must be found here."""

from ds2edge.train.model.deepspeech2 import DeepSpeech2

__all__ = ["DeepSpeech2"]
