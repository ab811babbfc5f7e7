package org.ds2edge;

import java.io.Closeable;
import java.util.Map;

/**
 * Runs the graph of a streaming model. An application implements this with the LiteRT library of its
 * platform.
 *
 * <p>An engine holds no state of a stream, so many streams can use one engine in turn, from one thread.
 */
public interface Engine extends Closeable {
    /**
     * Runs the signature {@code step} once.
     *
     * @param inputs {@code features} [chunk frames * bins], and every state by its name
     * @param outputs arrays to fill: {@code logits} [chunk steps * symbols], and the next value of
     *     every state by {@link State#output}
     */
    void step(Map<String, float[]> inputs, Map<String, float[]> outputs);

    @Override
    void close();
}
