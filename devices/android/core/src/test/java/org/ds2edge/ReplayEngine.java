package org.ds2edge;

import static org.junit.jupiter.api.Assertions.fail;

import java.util.Map;

/**
 * In place of a network: gives the recorded logits, and checks that each chunk gets the recorded
 * frames, rounded to int8 as the graph does.
 *
 * <p>The number of the chunk goes from run to run in a state, so streams may be interleaved.
 */
final class ReplayEngine implements Engine {
    private final byte[] frames;
    private final float[] logits;
    private final int chunks;
    private final float scale;
    private final int zeroPoint;
    private final String state;

    ReplayEngine(Vectors.Case recorded, Specification specification) {
        frames = Vectors.bytes(recorded.file("frames"));
        logits = Vectors.floats(recorded.file("logits"));
        chunks = recorded.shape("frames")[0];
        scale = (float) Vectors.number(recorded.get("scale"));
        zeroPoint = recorded.whole("zero_point");
        state = specification.states.get(0).name;
    }

    @Override
    public void step(Map<String, float[]> inputs, Map<String, float[]> outputs) {
        int chunk = (int) inputs.get(state)[0];
        float[] features = inputs.get("features");
        for (int i = 0; i < features.length; i++) {
            long rounded = Math.round((double) features[i] / scale) + zeroPoint;
            long value = Math.max(-128, Math.min(127, rounded));
            int wanted = frames[chunk * frames.length / chunks + i];
            if (value != wanted) {
                fail("chunk " + chunk + ", value " + i + ": " + value + " instead of " + wanted);
            }
        }
        int size = logits.length / chunks;
        System.arraycopy(logits, chunk * size, outputs.get("logits"), 0, size);
        outputs.get(state + "_next")[0] = chunk + 1;
    }

    @Override
    public void close() {}
}
