package org.ds2edge;

import java.util.ArrayList;
import java.util.List;

/**
 * Greedy CTC decoding: takes the best symbol of every step, merges repeats and drops blanks. Spaces
 * and pauses end words.
 */
final class GreedyDecoder extends Decoder {
    // A pause of this length ends a word. Networks trained on single phrases emit no space in a pause.
    private static final double PAUSE_SECONDS = 0.8;

    private List<Word> words = new ArrayList<>(); // final ones
    private List<Emission> emissions = new ArrayList<>(); // after them; the last one may still grow
    private int previous = BLANK;

    GreedyDecoder(List<String> alphabet, double stepSeconds) {
        super(alphabet, stepSeconds);
    }

    @Override
    public void accept(float[] logits, int first, int count) {
        int symbols = alphabet.size();
        for (int row = first; row < first + count; row++) {
            int from = row * symbols;
            int best = argmax(logits, from, symbols);
            // Only a symbol that is kept needs its probability: 1 / sum(exp(x - max)).
            double probability = best == BLANK ? 0 : probability(logits, from, from + best);
            step(best, probability);
        }
    }

    private double probability(float[] logits, int from, int best) {
        double sum = 0;
        for (int i = from; i < from + alphabet.size(); i++) {
            sum += Math.exp(logits[i] - logits[best]);
        }
        return 1 / sum;
    }

    private void step(int symbol, double probability) {
        if (hasLetter(symbol)) {
            if (blankSeconds() >= PAUSE_SECONDS) {
                endWords(true);
            }
            lastLetterStep = steps;
        }
        if (symbol != previous) {
            begin(symbol, probability);
        } else if (symbol != BLANK && !emissions.isEmpty()) {
            Emission run = emissions.get(emissions.size() - 1);
            run.last = steps;
            run.probability = Math.max(run.probability, probability);
        }
        previous = symbol;
        steps++;
    }

    /** Begins a run of a symbol. */
    private void begin(int symbol, double probability) {
        if (symbol == BLANK) {
            return;
        }
        if (!emissions.isEmpty() && emissions.get(emissions.size() - 1).text.indexOf(' ') >= 0) {
            endWords(false);
        }
        emissions.add(new Emission(alphabet.get(symbol), steps, steps, probability));
    }

    @Override
    boolean isEmpty() {
        if (!words.isEmpty()) {
            return false;
        }
        for (int i = 0; i < emissions.size(); i++) {
            if (!emissions.get(i).text.trim().isEmpty()) {
                return false;
            }
        }
        return true;
    }

    @Override
    List<Word> words() {
        List<Word> all = new ArrayList<>(words);
        all.addAll(spell(Emission.words(emissions)));
        return all;
    }

    @Override
    List<Word> take(boolean openWord) {
        endWords(openWord);
        List<Word> taken = words;
        words = new ArrayList<>();
        return taken;
    }

    /** Makes the words before the last space final, and the open one too if asked. */
    private void endWords(boolean openWord) {
        List<List<Emission>> split = Emission.words(emissions);
        List<Emission> rest = split.remove(split.size() - 1);
        if (openWord && !rest.isEmpty()) {
            split.add(rest);
            rest = new ArrayList<>();
        }
        words.addAll(spell(split));
        emissions = rest;
    }
}
