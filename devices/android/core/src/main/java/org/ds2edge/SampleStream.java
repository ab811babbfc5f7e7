package org.ds2edge;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * A recording on its way through a model: samples of any rate in, logits out.
 *
 * <p>After the constructor, nothing is allocated while samples come in, unless their rate changes.
 */
final class SampleStream implements SampleSink, FrameSink {
    private static final int MIN_RATE = 8000; // Hz
    private static final int MAX_RATE = 192000;
    private static final int BLOCK = 4096;

    private final Specification specification;
    private final Engine engine;
    private final LogitsSink sink;
    private final Features features;
    private final float[] converted = new float[BLOCK];
    private final float[] chunk; // frames of the next run of the network
    private final float[] logits;
    private int frames; // in the chunk
    private int stepsToDrop; // the first outputs belong to times before the first sample
    private long samples; // at the model's rate
    private int inputRate;
    private Resampler resampler; // null if the rate is the model's
    private boolean finished;

    // The states go to and fro between two sets of arrays: what one run fills, the next one takes.
    private Map<String, float[]> inputs;
    private Map<String, float[]> outputs;
    private Map<String, float[]> otherInputs;
    private Map<String, float[]> otherOutputs;

    SampleStream(Specification specification, Engine engine, LogitsSink sink) {
        this.specification = specification;
        this.engine = engine;
        this.sink = sink;
        features =
                new Features(specification.features, specification.mean, specification.std, this);
        chunk = new float[specification.chunkFrames() * specification.features.bins()];
        logits = new float[specification.chunkSteps * specification.alphabet.size()];
        bindTensors();
        inputRate = specification.features.sampleRate;
        stepsToDrop = specification.warmup + specification.lookahead;
        feedSilence(specification.samplesBefore());
    }

    void accept(short[] sound, int offset, int length, int rate) {
        begin(rate);
        while (length > 0) {
            int count = Math.min(length, BLOCK);
            for (int i = 0; i < count; i++) {
                converted[i] = sound[offset + i] / 32768f;
            }
            resample(count);
            offset += count;
            length -= count;
        }
    }

    void accept(float[] sound, int offset, int length, int rate) {
        begin(rate);
        while (length > 0) {
            int count = Math.min(length, BLOCK);
            for (int i = 0; i < count; i++) {
                float sample = sound[offset + i];
                converted[i] = Math.abs(sample) <= Float.MAX_VALUE ? sample : 0; // NaN is not <=
            }
            resample(count);
            offset += count;
            length -= count;
        }
    }

    /** Decodes the rest: the network needs silence after the last sample. */
    void finish() {
        if (finished) {
            return;
        }
        finished = true;
        endRate();
        if (samples == 0) {
            return;
        }
        feedSilence(specification.samplesAfter(samples));
        if (frames > 0) { // whole steps by construction: fill up the chunk with zeros
            int steps = frames / specification.timeStride;
            Arrays.fill(chunk, frames * specification.features.bins(), chunk.length, 0f);
            run(steps);
        }
    }

    /** Seconds of sound so far, to the millisecond. */
    double duration() {
        return Decoder.round((double) samples / specification.features.sampleRate, 1e3);
    }

    /** Takes samples of the recording at the model's rate. */
    @Override
    public void accept(float[] resampled, int offset, int length) {
        samples += length;
        features.accept(resampled, offset, length);
    }

    @Override
    public void accept(float[] frame) {
        System.arraycopy(frame, 0, chunk, frames * frame.length, frame.length);
        frames++;
        if (frames == specification.chunkFrames()) {
            run(specification.chunkSteps);
        }
    }

    private void begin(int rate) {
        if (finished) {
            throw new IllegalStateException("this stream is finished: begin a new one");
        }
        if (rate < MIN_RATE || rate > MAX_RATE) {
            throw new InputException(
                    "a sample rate of " + rate + " Hz cannot be used: record at " + MIN_RATE + " to "
                            + MAX_RATE + " Hz, best at " + specification.features.sampleRate + " Hz");
        }
        if (rate != inputRate) {
            endRate();
            inputRate = rate;
            int modelRate = specification.features.sampleRate;
            resampler = rate == modelRate ? null : new Resampler(rate, modelRate, this);
        }
    }

    private void endRate() {
        if (resampler != null) {
            resampler.finish();
            resampler = null;
        }
    }

    private void resample(int count) {
        if (resampler == null) {
            accept(converted, 0, count);
        } else {
            resampler.accept(converted, 0, count);
        }
    }

    private void feedSilence(long count) {
        Arrays.fill(converted, 0f);
        for (long rest = count; rest > 0; rest -= BLOCK) {
            features.accept(converted, 0, (int) Math.min(rest, BLOCK));
        }
    }

    /** Runs the network on the chunk; only the first {@code steps} outputs count. */
    private void run(int steps) {
        frames = 0;
        engine.step(inputs, outputs);
        Map<String, float[]> swap = inputs;
        inputs = otherInputs;
        otherInputs = swap;
        swap = outputs;
        outputs = otherOutputs;
        otherOutputs = swap;
        int dropped = Math.min(stepsToDrop, steps);
        stepsToDrop -= dropped;
        sink.accept(logits, dropped, steps - dropped);
    }

    private void bindTensors() {
        inputs = new HashMap<>();
        outputs = new HashMap<>();
        otherInputs = new HashMap<>();
        otherOutputs = new HashMap<>();
        for (State state : specification.states) {
            float[] one = new float[state.size];
            float[] other = new float[state.size];
            inputs.put(state.name, one);
            outputs.put(state.output, other);
            otherInputs.put(state.name, other);
            otherOutputs.put(state.output, one);
        }
        inputs.put("features", chunk);
        otherInputs.put("features", chunk);
        outputs.put("logits", logits);
        otherOutputs.put("logits", logits);
    }
}
