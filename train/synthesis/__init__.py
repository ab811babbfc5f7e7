"""Speech synthesis: voices of several engines say sentences for training and measuring."""
