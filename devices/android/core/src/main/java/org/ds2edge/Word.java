package org.ds2edge;

/** A recognised word. */
public final class Word {
    public final String text;

    /** Seconds from the start of the stream. */
    public final double start;

    /** Seconds from the start of the stream. */
    public final double end;

    /** Mean probability of the symbols of the word, 0 to 1. */
    public final double confidence;

    public Word(String text, double start, double end, double confidence) {
        this.text = text;
        this.start = start;
        this.end = end;
        this.confidence = confidence;
    }

    @Override
    public String toString() {
        return text + " (" + start + " to " + end + " s, confidence " + confidence + ")";
    }
}
