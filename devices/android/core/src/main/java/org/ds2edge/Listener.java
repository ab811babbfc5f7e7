package org.ds2edge;

import java.util.List;

/**
 * Cuts live sound into utterances, for as long as it goes on, in constant memory.
 *
 * <p>How the samples are cut into calls does not change the utterances.
 */
public final class Listener {
    private final Endpointer endpointer;
    private final SampleStream samples;

    Listener(Specification specification, Engine engine, Decoder decoder, EndpointRules rules) {
        this.endpointer = new Endpointer(decoder, rules);
        this.samples = new SampleStream(specification, engine, endpointer);
    }

    /**
     * Takes the next mono samples, 16 bits each. Returns the utterances that have ended.
     *
     * @param rate sample rate in Hz; it may change from call to call
     * @throws InputException for a rate below 8000 or above 192000 Hz; the stream can go on
     */
    public List<Utterance> accept(short[] sound, int offset, int length, int rate) {
        samples.accept(sound, offset, length, rate);
        return endpointer.take();
    }

    /**
     * Takes the next mono samples in -1 to 1. NaN and infinity count as 0. Returns the utterances
     * that have ended.
     */
    public List<Utterance> accept(float[] sound, int offset, int length, int rate) {
        samples.accept(sound, offset, length, rate);
        return endpointer.take();
    }

    /** The text of the open utterance. Its last word may still change. */
    public String partial() {
        return endpointer.text();
    }

    /** Seconds of sound so far. */
    public double duration() {
        return samples.duration();
    }

    /** Ends the recording. Returns the remaining utterances. */
    public List<Utterance> finish() {
        samples.finish();
        return endpointer.takeLast();
    }
}
