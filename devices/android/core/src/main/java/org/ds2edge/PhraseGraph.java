package org.ds2edge;

/**
 * The automaton of phrases over the symbols of one model. Arcs lead from states to nodes, sorted by
 * state. A node is a state together with the symbol that led to it. State 0 is the start.
 */
final class PhraseGraph {
    final int[] firstArc; // [states + 1]: arcs of state s are firstArc[s] to firstArc[s + 1]
    final int[] arcNode; // [arcs]
    final float[] arcWeight; // [arcs], log
    final int[] nodeState; // [nodes]
    final int[] nodeSymbol; // [nodes]
    final float[] ends; // [states], log; -infinity where no phrase ends
    private final int wildcards; // the first of the states of wildcards, which come last

    PhraseGraph(
            int[] firstArc,
            int[] arcNode,
            float[] arcWeight,
            int[] nodeState,
            int[] nodeSymbol,
            float[] ends,
            int wildcards) {
        this.firstArc = firstArc;
        this.arcNode = arcNode;
        this.arcWeight = arcWeight;
        this.nodeState = nodeState;
        this.nodeSymbol = nodeSymbol;
        this.ends = ends;
        this.wildcards = wildcards;
    }

    /** Whether a wildcard says the symbol of the node. */
    boolean isFree(int node) {
        return nodeState[node] >= wildcards;
    }
}
