package org.ds2edge;

/** A float32 tensor that a stream carries from chunk to chunk. It begins as zeros. */
public final class State {
    /** Name of the input that takes the state. */
    public final String name;

    /** Name of the output that holds the state after the chunk. */
    public final String output;

    /** Number of values. */
    public final int size;

    private final int[] shape;

    State(String name, int[] shape) {
        this.name = name;
        this.output = name + "_next";
        this.shape = shape;
        int values = 1;
        for (int length : shape) {
            values *= length;
        }
        this.size = values;
    }

    /** The shape of the tensor. */
    public int[] shape() {
        return shape.clone();
    }
}
