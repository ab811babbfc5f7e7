package org.ds2edge;

/** Takes logits from the network. */
interface LogitsSink {
    /** Takes {@code steps} rows of a flat array [rows * symbols], from row {@code first} on. */
    void accept(float[] logits, int first, int steps);
}
