"""On-device speech recognition: features, the LiteRT network, CTC decoding and streams. Needs numpy and an interpreter.

from ds2edge.runtime import Recognizer

stream = Recognizer("model.tflite").stream()
for samples in microphone:                # float32 or int16, any rate
    stream.accept(samples, rate=48000)
    print(stream.partial())
print(stream.finish().text)
"""

from ds2edge.runtime.decoding.beam import BeamDecoder
from ds2edge.runtime.decoding.ctc import Word
from ds2edge.runtime.decoding.fusion import Fusion, Weights
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.decoding.language_model import LanguageModel
from ds2edge.runtime.endpoint import EndpointRules
from ds2edge.runtime.errors import InputError, QualityCheckFailed
from ds2edge.runtime.features import Features, FeatureSettings
from ds2edge.runtime.listener import Listener, Utterance
from ds2edge.runtime.recognizer import Recognizer, Result, Stream
from ds2edge.runtime.specification import Specification, read_specification

__all__ = [
    "BeamDecoder",
    "EndpointRules",
    "FeatureSettings",
    "Features",
    "Fusion",
    "GreedyDecoder",
    "InputError",
    "LanguageModel",
    "Listener",
    "QualityCheckFailed",
    "Recognizer",
    "Result",
    "Specification",
    "Stream",
    "Utterance",
    "Weights",
    "Word",
    "read_specification",
]
