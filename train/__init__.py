"""Training: manifests, augmentation, the DeepSpeech2 model in Keras, the loop, scoring. Needs the extra `train`."""

import os

# Tensorflow reads it when it is first imported, and would otherwise bury the kit's own lines.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
