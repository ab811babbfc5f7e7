package org.ds2edge;

import java.util.List;

/** The transcript of a recording. */
public final class Result {
    public final String text;
    public final List<Word> words;

    /** Seconds of sound. */
    public final double duration;

    /** The meaning of a phrase, or null. */
    public final Meaning meaning;

    Result(String text, List<Word> words, double duration, Meaning meaning) {
        this.text = text;
        this.words = words;
        this.duration = duration;
        this.meaning = meaning;
    }

    @Override
    public String toString() {
        return text;
    }
}
