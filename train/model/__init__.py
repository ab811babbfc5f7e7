"""The DeepSpeech2 model in Keras. Saved `.keras` files look for its class in this package."""

from ds2edge.train.model.deepspeech2 import DeepSpeech2

__all__ = ["DeepSpeech2"]
