package org.ds2edge;

import java.util.ArrayList;
import java.util.List;

/** A symbol, or a part of one, that the network emits over a run of steps. */
final class Emission {
    final String text;
    final int first; // step
    int last; // step
    double probability; // the highest of the run

    Emission(String text, int first, int last, double probability) {
        this.text = text;
        this.first = first;
        this.last = last;
        this.probability = probability;
    }

    /**
     * The emissions of each word. The last list is the open word and may be empty.
     *
     * <p>A space may stand anywhere in a symbol, as in " the". It divides the symbol between two
     * words.
     */
    static List<List<Emission>> words(List<Emission> emissions) {
        List<List<Emission>> words = new ArrayList<>();
        List<Emission> word = new ArrayList<>();
        words.add(word);
        for (Emission emission : emissions) {
            int from = 0;
            while (from <= emission.text.length()) {
                int space = emission.text.indexOf(' ', from);
                int to = space < 0 ? emission.text.length() : space;
                if (from > 0 && !word.isEmpty()) {
                    word = new ArrayList<>();
                    words.add(word);
                }
                if (to > from) {
                    word.add(emission.part(from, to));
                }
                from = to + 1;
            }
        }
        return words;
    }

    private Emission part(int from, int to) {
        boolean whole = to - from == text.length();
        return whole ? this : new Emission(text.substring(from, to), first, last, probability);
    }
}
