package org.ds2edge;

import java.util.ArrayList;
import java.util.List;

/**
 * Turns a stream of logits into words. How the logits are cut into calls changes nothing.
 *
 * <p>The last word stays open, and may still grow, until a space or a pause ends it.
 */
abstract class Decoder implements LogitsSink {
    static final int BLANK = 0;

    final List<String> alphabet;
    final double stepSeconds;
    private final boolean[] hasLetter; // by symbol
    int steps;
    int lastLetterStep = -1; // the last step whose best symbol held a letter

    Decoder(List<String> alphabet, double stepSeconds) {
        this.alphabet = alphabet;
        this.stepSeconds = stepSeconds;
        hasLetter = new boolean[alphabet.size()];
        for (int symbol = 0; symbol < hasLetter.length; symbol++) {
            hasLetter[symbol] = !alphabet.get(symbol).trim().isEmpty();
        }
    }

    /** Whether there is no word, not even an open one. */
    abstract boolean isEmpty();

    /** All words so far, including the open one. */
    abstract List<Word> words();

    /**
     * Returns the words so far and drops them, so that memory stays bounded. Without {@code
     * openWord} the open word stays in the decoder.
     */
    abstract List<Word> take(boolean openWord);

    /** The words at the end of the stream. */
    List<Word> finalWords() {
        return words();
    }

    /** What a final text means; null if it has no meaning, as only phrases have one. */
    Meaning meaning(String text) {
        return null;
    }

    String text() {
        return join(words());
    }

    /** Seconds of sound decoded so far. */
    double seconds() {
        return steps * stepSeconds;
    }

    /** Seconds of sound since the last letter, or since the start if there was none. */
    double blankSeconds() {
        return (steps - 1 - lastLetterStep) * stepSeconds;
    }

    boolean hasLetter(int symbol) {
        return hasLetter[symbol];
    }

    /** The words that the emissions spell. */
    List<Word> spell(List<List<Emission>> words) {
        List<Word> spelled = new ArrayList<>();
        for (List<Emission> word : words) {
            if (!word.isEmpty()) {
                spelled.add(spellWord(word));
            }
        }
        return spelled;
    }

    private Word spellWord(List<Emission> emissions) {
        StringBuilder text = new StringBuilder();
        double sum = 0;
        for (Emission emission : emissions) {
            text.append(emission.text);
            sum += emission.probability;
        }
        double start = emissions.get(0).first * stepSeconds;
        double end = (emissions.get(emissions.size() - 1).last + 1) * stepSeconds;
        double confidence = round(sum / emissions.size(), 1e4);
        return new Word(text.toString(), round(start, 1e3), round(end, 1e3), confidence);
    }

    static int argmax(float[] values, int from, int count) {
        int best = from;
        for (int i = from + 1; i < from + count; i++) {
            if (values[i] > values[best]) {
                best = i;
            }
        }
        return best - from;
    }

    static String join(List<Word> words) {
        StringBuilder text = new StringBuilder();
        for (Word word : words) {
            text.append(text.length() == 0 ? "" : " ").append(word.text);
        }
        return text.toString();
    }

    /** Rounds to one part in {@code scale}. */
    static double round(double value, double scale) {
        return Math.rint(value * scale) / scale;
    }
}
