package org.ds2edge;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * Finds the phrase that was said, or that it was none, by token passing (Young et al. 1989).
 *
 * <p>A token stands for the best path to a place in the graph. There are two kinds: the last step of
 * the path said the symbol of a node, or it was blank. The score of a step is relative to that of its
 * best symbol. So the best free text scores 0.
 */
final class PhraseDecoder extends Decoder {
    private static final float BEAM = 25f; // tokens this far below the best one are dropped, in nats
    private static final int MOST_TOKENS = 3000;
    private static final int MOST_TRACES = 100_000; // a longer record drops what no token needs
    private static final int WILD_SYMBOLS = 8; // of a step, that a wildcard may say
    private static final float BONUS = 4f; // nats for each symbol of a phrase
    private static final double MISSING_LETTER = 0.6; // nats off for each letter that it lacks
    private static final double MOST_MISSING = 0.9; // nats off for each letter that it has

    private final PhraseGraph graph;
    private final double minConfidence;
    private final double enoughLetters;
    private final Phrases phrases;
    private final float[] scores; // of the symbols in this step
    private float[] sorted = new float[0];
    private final PathRecord record = new PathRecord();
    private Tokens said; // by node
    private Tokens blank; // by state
    private Tokens nextSaid;
    private Tokens nextBlank;
    private boolean heard; // a symbol in the best free text

    PhraseDecoder(
            PhraseGraph graph,
            List<String> alphabet,
            double stepSeconds,
            double minConfidence,
            double enoughLetters,
            Phrases phrases) {
        super(alphabet, stepSeconds);
        this.graph = graph;
        this.minConfidence = minConfidence;
        this.enoughLetters = enoughLetters;
        this.phrases = phrases;
        scores = new float[alphabet.size()];
        said = new Tokens(graph.nodeState.length);
        nextSaid = new Tokens(graph.nodeState.length);
        blank = new Tokens(graph.ends.length);
        nextBlank = new Tokens(graph.ends.length);
        begin();
    }

    @Override
    boolean isEmpty() {
        return !heard;
    }

    @Override
    Meaning meaning(String text) {
        return phrases.meaning(text);
    }

    @Override
    public void accept(float[] logits, int first, int count) {
        for (int row = first; row < first + count; row++) {
            System.arraycopy(logits, row * scores.length, scores, 0, scores.length);
            int best = argmax(scores, 0, scores.length);
            float highest = scores[best];
            for (int i = 0; i < scores.length; i++) {
                scores[i] -= highest;
            }
            step(best);
        }
    }

    /** The best guess at the phrase so far. It may still be rejected. */
    @Override
    List<Word> words() {
        return best(false);
    }

    /**
     * The words of the phrase that was said; none if it was rejected. Where the best free text is
     * empty, as in noise, nothing was said.
     *
     * <p>Each word has the confidence of the whole phrase: its probability relative to that of the
     * best free text, as a geometric mean over the letters. It is lower if the phrase is too short
     * for so many phrases.
     */
    @Override
    List<Word> finalWords() {
        List<Word> words = heard ? best(true) : Collections.<Word>emptyList();
        boolean confident = !words.isEmpty() && words.get(0).confidence >= minConfidence;
        return confident ? words : Collections.<Word>emptyList();
    }

    /** Returns the words of the phrase that was said, and starts again: no word stays open. */
    @Override
    List<Word> take(boolean openWord) {
        List<Word> words = finalWords();
        begin();
        return words;
    }

    private void begin() {
        said.clear();
        blank.clear();
        blank.offer(0, 0f, -1, false);
        record.size = 0;
        heard = false;
    }

    private void step(int best) {
        if (best != BLANK && hasLetter(best)) {
            lastLetterStep = steps;
        }
        heard |= best != BLANK;
        nextSaid.clear();
        enterNodes();
        stayInNodes();
        keepAllowed();
        nextBlank.clear();
        for (int i = 0; i < blank.size; i++) {
            nextBlank.offer(blank.places[i], blank.scores[i], blank.traces[i], false);
        }
        for (int i = 0; i < said.size; i++) {
            nextBlank.offer(graph.nodeState[said.places[i]], said.scores[i], said.traces[i], false);
        }
        for (int i = 0; i < nextBlank.size; i++) {
            nextBlank.scores[i] += scores[BLANK];
        }
        swap();
        prune();
        steps++;
        if (record.size > MOST_TRACES) {
            record.forget(said, blank);
        }
    }

    /** Tokens that say a new symbol: those after a blank, and those after another symbol. */
    private void enterNodes() {
        for (int i = 0; i < blank.size; i++) {
            enter(blank.places[i], -1, blank.scores[i], blank.traces[i]);
        }
        for (int i = 0; i < said.size; i++) {
            int node = said.places[i];
            // CTC merges equal symbols in a row, so a blank must stand between them.
            enter(graph.nodeState[node], graph.nodeSymbol[node], said.scores[i], said.traces[i]);
        }
    }

    private void enter(int state, int previous, float score, int trace) {
        for (int arc = graph.firstArc[state]; arc < graph.firstArc[state + 1]; arc++) {
            int node = graph.arcNode[arc];
            int symbol = graph.nodeSymbol[node];
            if (symbol != previous) {
                // In the order of the other runtimes: float32 sums depend on it.
                float paid = graph.arcWeight[arc] + (graph.isFree(node) ? 0f : BONUS);
                nextSaid.offer(node, score + scores[symbol] + paid, trace, true);
            }
        }
    }

    /** Tokens that go on saying their symbol. */
    private void stayInNodes() {
        for (int i = 0; i < said.size; i++) {
            int node = said.places[i];
            float score = said.scores[i] + scores[graph.nodeSymbol[node]];
            nextSaid.offer(node, score, said.traces[i], false);
        }
    }

    /** Drops the tokens out of the beam and those that a wildcard may not say; records the new. */
    private void keepAllowed() {
        float least = nextSaid.best() - BEAM;
        float wild = highest(scores, scores.length, WILD_SYMBOLS);
        for (int i = 0; i < nextSaid.size; i++) {
            int node = nextSaid.places[i];
            boolean allowed = !graph.isFree(node) || scores[graph.nodeSymbol[node]] >= wild;
            if (!allowed || !(nextSaid.scores[i] > least)) {
                nextSaid.scores[i] = Float.NEGATIVE_INFINITY;
            }
        }
        nextSaid.keepAtLeast(-Float.MAX_VALUE);
        for (int i = 0; i < nextSaid.size; i++) {
            if (nextSaid.entered[i]) {
                nextSaid.traces[i] =
                        record.add(nextSaid.traces[i], nextSaid.places[i], steps);
            }
        }
    }

    private void swap() {
        Tokens swap = said;
        said = nextSaid;
        nextSaid = swap;
        swap = blank;
        blank = nextBlank;
        nextBlank = swap;
    }

    /** Drops the tokens that are too far below the best one, or too many. */
    private void prune() {
        float least = Math.max(said.best(), blank.best()) - BEAM;
        int count = said.size + blank.size;
        if (count > MOST_TOKENS) {
            float[] all = new float[count];
            System.arraycopy(said.scores, 0, all, 0, said.size);
            System.arraycopy(blank.scores, 0, all, said.size, blank.size);
            least = Math.max(least, highest(all, count, MOST_TOKENS));
        }
        said.keepAtLeast(least);
        blank.keepAtLeast(least);
    }

    /** The value of rank {@code rank} among the first {@code count}, from the highest down. */
    private float highest(float[] values, int count, int rank) {
        if (sorted.length < count) {
            sorted = new float[count];
        }
        System.arraycopy(values, 0, sorted, 0, count);
        Arrays.sort(sorted, 0, count);
        return sorted[Math.max(0, count - rank)];
    }

    /** The words of the best token; with {@code atEnd}, of the best one at the end of a phrase. */
    private List<Word> best(boolean atEnd) {
        float bestScore = Float.NEGATIVE_INFINITY;
        int bestTrace = -1;
        for (int i = 0; i < blank.size; i++) {
            float score = blank.scores[i] + (atEnd ? graph.ends[blank.places[i]] : 0);
            if (score > bestScore) {
                bestScore = score;
                bestTrace = blank.traces[i];
            }
        }
        for (int i = 0; i < said.size; i++) {
            float score = said.scores[i] + (atEnd ? graph.ends[graph.nodeState[said.places[i]]] : 0);
            if (score > bestScore) {
                bestScore = score;
                bestTrace = said.traces[i];
            }
        }
        return bestTrace < 0 ? Collections.<Word>emptyList() : spell(bestScore, bestTrace);
    }

    private List<Word> spell(float score, int trace) {
        int[] path = record.path(trace);
        double confidence = confidence(score, path);
        List<Emission> emissions = new ArrayList<>();
        for (int entry : path) {
            String text = alphabet.get(graph.nodeSymbol[record.node[entry]]);
            int step = record.step[entry];
            emissions.add(new Emission(text, step, step, confidence));
        }
        return spell(Emission.words(emissions));
    }

    /** The symbols of a wildcard are no evidence for the phrase: they do not count. */
    private double confidence(float score, int[] path) {
        int fixed = 0;
        int letters = 0;
        for (int entry : path) {
            int node = record.node[entry];
            if (!graph.isFree(node)) {
                fixed++;
                letters += alphabet.get(graph.nodeSymbol[node]).trim().length();
            }
        }
        double missing =
                Math.min(
                        MISSING_LETTER * Math.max(0.0, enoughLetters - letters),
                        MOST_MISSING * letters);
        double nats = score - BONUS * fixed - missing;
        return Math.exp(Math.min(0.0, nats / Math.max(1, letters)));
    }
}
