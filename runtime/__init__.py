"""On-device speech recognition: features, the LiteRT network, CTC decoding, files and live sound.

Transcribe a file, or samples in memory:

    from ds2edge.runtime import Recognizer

    recognizer = Recognizer()                       # or Recognizer("model.tflite")
    print(recognizer.transcribe("meeting.wav").text)
    print(recognizer.transcribe(samples, rate=16000).text)
    for utterance in recognizer.utterances("meeting.wav"):
        print(utterance.start, utterance.end, utterance.text)

Transcribe a microphone:

    from ds2edge.runtime import Listener, Microphone

    for utterance in Listener(recognizer).listen(Microphone()):
        print(utterance.text)
"""

from ds2edge.runtime.decoding.beam import BeamDecoder
from ds2edge.runtime.decoding.ctc import Meaning, Word
from ds2edge.runtime.decoding.fusion import Fusion, Weights
from ds2edge.runtime.decoding.greedy import GreedyDecoder
from ds2edge.runtime.decoding.language_model import LanguageModel
from ds2edge.runtime.endpoint import EndpointRules
from ds2edge.runtime.errors import InputError, QualityCheckFailed
from ds2edge.runtime.features import Features, FeatureSettings
from ds2edge.runtime.listener import Listener
from ds2edge.runtime.live.microphone import Microphone
from ds2edge.runtime.phrases.phrases import Phrases
from ds2edge.runtime.phrases.wake import Wake
from ds2edge.runtime.recognizer import Recognizer
from ds2edge.runtime.specification import Specification, read_specification
from ds2edge.runtime.stream import Result, Stream
from ds2edge.runtime.utterances import Utterance

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
    "Meaning",
    "Microphone",
    "Phrases",
    "QualityCheckFailed",
    "Recognizer",
    "Result",
    "Specification",
    "Stream",
    "Utterance",
    "Wake",
    "Weights",
    "Word",
    "read_specification",
]
