package org.ds2edge;

import java.util.List;

/** What was said between two pauses. */
public final class Utterance {
    /** The words separated by spaces. */
    public final String text;

    /** At least one word. */
    public final List<Word> words;

    /** Seconds from the start of the stream to the start of the first word. */
    public final double start;

    /** Seconds from the start of the stream to the end of the last word. */
    public final double end;

    /** Mean confidence of the words, 0 to 1. */
    public final double confidence;

    /** Seconds from the start of the stream to the moment at which the end was detected. */
    public final double decided;

    /** The meaning of a phrase, or null. */
    public final Meaning meaning;

    Utterance(List<Word> words, double decided, Meaning meaning) {
        this.words = words;
        this.text = Decoder.join(words);
        this.start = words.get(0).start;
        this.end = words.get(words.size() - 1).end;
        double sum = 0;
        for (Word word : words) {
            sum += word.confidence;
        }
        this.confidence = Decoder.round(sum / words.size(), 1e4);
        this.decided = decided;
        this.meaning = meaning;
    }

    @Override
    public String toString() {
        return text;
    }
}
