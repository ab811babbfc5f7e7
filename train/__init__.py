"""Training: manifests, augmentation, the DeepSpeech2 model in Keras, the loop, scoring. Needs the extra `train`."""

import logging
import os

# Tensorflow would otherwise bury the kit's own lines. It reads the one when it is first imported; by the other it warns
# that clips of many lengths make many graphs.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
logging.getLogger("tensorflow").setLevel(logging.ERROR)
