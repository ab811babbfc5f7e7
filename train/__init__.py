"""Training: manifests, augmentation, the DeepSpeech2 model in Keras, the loop and evaluation."""
