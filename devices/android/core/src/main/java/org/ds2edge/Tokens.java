package org.ds2edge;

import java.util.Arrays;

/**
 * Tokens, the best one for each place: nodes, or states. A token has the score of its path, and the
 * last entry of that path in the record.
 */
final class Tokens {
    int size;
    int[] places;
    float[] scores;
    int[] traces; // -1: nothing was said yet
    boolean[] entered; // whether the path enters its place in this step

    private final int[] slotOf; // by place: index + 1 of its token, or 0

    /** Tokens for places from 0 up to {@code places}. */
    Tokens(int placeCount) {
        slotOf = new int[placeCount];
        places = new int[256];
        scores = new float[256];
        traces = new int[256];
        entered = new boolean[256];
    }

    void clear() {
        for (int i = 0; i < size; i++) {
            slotOf[places[i]] = 0;
        }
        size = 0;
    }

    /** Adds a token, unless its place has one that is at least as good. */
    void offer(int place, float score, int trace, boolean enters) {
        int slot = slotOf[place] - 1;
        if (slot >= 0 && !(score > scores[slot])) {
            return;
        }
        if (slot < 0) {
            slot = append();
            slotOf[place] = slot + 1;
        }
        places[slot] = place;
        scores[slot] = score;
        traces[slot] = trace;
        entered[slot] = enters;
    }

    private int append() {
        if (size == places.length) {
            places = Arrays.copyOf(places, 2 * size);
            scores = Arrays.copyOf(scores, 2 * size);
            traces = Arrays.copyOf(traces, 2 * size);
            entered = Arrays.copyOf(entered, 2 * size);
        }
        return size++;
    }

    float best() {
        float best = Float.NEGATIVE_INFINITY;
        for (int i = 0; i < size; i++) {
            best = Math.max(best, scores[i]);
        }
        return best;
    }

    /** Drops the tokens below a score. */
    void keepAtLeast(float least) {
        int kept = 0;
        for (int i = 0; i < size; i++) {
            if (scores[i] >= least) {
                places[kept] = places[i];
                scores[kept] = scores[i];
                traces[kept] = traces[i];
                entered[kept] = entered[i];
                slotOf[places[kept]] = ++kept;
            } else {
                slotOf[places[i]] = 0;
            }
        }
        size = kept;
    }
}
