"""The losses of a training: CTC, and what a recipe may add to it."""
