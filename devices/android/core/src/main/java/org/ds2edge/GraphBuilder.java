package org.ds2edge;

import java.util.Arrays;
import java.util.List;

/** Builds the graph of phrases for the symbols of one model, with every spelling of every word. */
final class GraphBuilder {
    private final Letters letters;
    private final List<String> alphabet;
    private final int states;
    private final int[][] next; // [labels][states]; -1: no arc
    private final float[][] weight; // [labels][states]
    private float[] ends;

    // Arcs, in the order in which they were added.
    private int arcs;
    private int[] source = new int[1024];
    private int[] symbol = new int[1024];
    private int[] target = new int[1024];
    private float[] cost = new float[1024];

    GraphBuilder(Letters letters, List<String> alphabet) {
        this.letters = letters;
        this.alphabet = alphabet;
        this.ends = letters.ends;
        this.states = letters.ends.length;
        next = new int[letters.labels.length()][states];
        weight = new float[letters.labels.length()][states];
        for (int[] row : next) {
            Arrays.fill(row, -1);
        }
        for (int i = 0; i < letters.sources.length; i++) {
            next[letters.labelIds[i]][letters.sources[i]] = letters.targets[i];
            weight[letters.labelIds[i]][letters.sources[i]] = letters.weights[i];
        }
    }

    PhraseGraph build() {
        for (int i = 1; i < alphabet.size(); i++) {
            if (!alphabet.get(i).isEmpty()) {
                for (int state = 0; state < states; state++) {
                    walk(state, i, alphabet.get(i));
                }
            }
        }
        int anything = letters.labels.indexOf(Letters.ANYTHING);
        if (anything >= 0) {
            addWildcards(next[anything]);
        }
        return sorted();
    }

    /** Adds the arc of one symbol from one state, if its letters lead on. */
    private void walk(int from, int id, String text) {
        int state = from;
        float paid = 0;
        for (int place = 0; place < text.length(); place++) {
            char letter = text.charAt(place);
            int label = letters.labels.indexOf(letter);
            int step = label < 0 ? -1 : next[label][state];
            paid += label < 0 ? 0 : weight[label][state];
            if (step < 0 && letter == ' ' && place == 0 && state == 0) {
                step = 0; // a phrase may start with a space
            }
            if (step < 0) {
                return;
            }
            state = step;
        }
        add(from, id, state, paid);
    }

    /**
     * Adds a state for each wildcard. An arc of every symbol leads from it to itself.
     *
     * <p>Arcs lead to it from the state before the wildcard, and for symbols that start with a space
     * also from the state before that space. The arcs of the state after the wildcard leave it too.
     */
    private void addWildcards(int[] after) {
        int fixedArcs = arcs;
        int[] inside = new int[states]; // the wildcard state of each state before one; else -1
        int count = 0;
        for (int state = 0; state < states; state++) {
            inside[state] = after[state] < 0 ? -1 : states + count++;
        }
        for (int place = 0; place < states; place++) {
            enter(place, inside[place], false);
        }
        for (int place = 0; place < states; place++) {
            for (int id = 1; id < alphabet.size() && inside[place] >= 0; id++) {
                add(inside[place], id, inside[place], 0);
            }
        }
        int space = letters.labels.indexOf(' ');
        for (int place = 0; place < states && space >= 0; place++) {
            int spaced = next[space][place];
            enter(place, spaced < 0 ? -1 : inside[spaced], true);
        }
        ends = Arrays.copyOf(ends, states + count);
        for (int place = 0; place < states; place++) {
            if (inside[place] >= 0) {
                ends[inside[place]] = ends[after[place]];
                leave(after[place], inside[place], fixedArcs);
            }
        }
    }

    /** Arcs into a wildcard, of symbols that start with a space and go on, or of all others. */
    private void enter(int from, int wildcard, boolean spaced) {
        for (int id = 1; id < alphabet.size() && wildcard >= 0; id++) {
            String text = alphabet.get(id);
            if (!text.isEmpty() && text.startsWith(" ") == spaced && text.length() > (spaced ? 1 : 0)) {
                add(from, id, wildcard, 0);
            }
        }
    }

    private void leave(int after, int wildcard, int fixedArcs) {
        for (int arc = 0; arc < fixedArcs; arc++) {
            if (source[arc] == after) {
                add(wildcard, symbol[arc], target[arc], cost[arc]);
            }
        }
    }

    private void add(int from, int id, int to, float paid) {
        if (arcs == source.length) {
            source = Arrays.copyOf(source, 2 * arcs);
            symbol = Arrays.copyOf(symbol, 2 * arcs);
            target = Arrays.copyOf(target, 2 * arcs);
            cost = Arrays.copyOf(cost, 2 * arcs);
        }
        source[arcs] = from;
        symbol[arcs] = id;
        target[arcs] = to;
        cost[arcs++] = paid;
    }

    /** Numbers the nodes by state and symbol, and sorts the arcs by their source. */
    private PhraseGraph sorted() {
        long[] keys = new long[arcs];
        for (int arc = 0; arc < arcs; arc++) {
            keys[arc] = (long) target[arc] * alphabet.size() + symbol[arc];
        }
        long[] nodes = keys.clone();
        Arrays.sort(nodes);
        int count = 0;
        for (int i = 0; i < arcs; i++) {
            if (i == 0 || nodes[i] != nodes[count - 1]) {
                nodes[count++] = nodes[i];
            }
        }
        int[] nodeState = new int[count];
        int[] nodeSymbol = new int[count];
        for (int node = 0; node < count; node++) {
            nodeState[node] = (int) (nodes[node] / alphabet.size());
            nodeSymbol[node] = (int) (nodes[node] % alphabet.size());
        }
        int[] firstArc = new int[ends.length + 1];
        for (int arc = 0; arc < arcs; arc++) {
            firstArc[source[arc] + 1]++;
        }
        for (int state = 0; state < ends.length; state++) {
            firstArc[state + 1] += firstArc[state];
        }
        int[] place = firstArc.clone();
        int[] arcNode = new int[arcs];
        float[] arcWeight = new float[arcs];
        for (int arc = 0; arc < arcs; arc++) {
            int to = place[source[arc]]++;
            arcNode[to] = Arrays.binarySearch(nodes, 0, count, keys[arc]);
            arcWeight[to] = cost[arc];
        }
        return new PhraseGraph(firstArc, arcNode, arcWeight, nodeState, nodeSymbol, ends, states);
    }
}
