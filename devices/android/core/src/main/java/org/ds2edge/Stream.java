package org.ds2edge;

import java.util.List;

/**
 * A recording that is being transcribed. How the samples are cut into calls does not change the
 * result.
 */
public final class Stream {
    private final Decoder decoder;
    private final SampleStream samples;
    private Result result;

    Stream(Specification specification, Engine engine, Decoder decoder) {
        this.decoder = decoder;
        this.samples = new SampleStream(specification, engine, decoder);
    }

    /**
     * Takes the next mono samples, 16 bits each.
     *
     * @param rate sample rate in Hz; it may change from call to call
     * @throws InputException for a rate below 8000 or above 192000 Hz
     */
    public void accept(short[] sound, int offset, int length, int rate) {
        samples.accept(sound, offset, length, rate);
    }

    /** Takes the next mono samples in -1 to 1. NaN and infinity count as 0. */
    public void accept(float[] sound, int offset, int length, int rate) {
        samples.accept(sound, offset, length, rate);
    }

    /** The text so far. Its last word may still change. */
    public String partial() {
        return decoder.text();
    }

    /** Ends the recording and returns its transcript. */
    public Result finish() {
        if (result == null) {
            samples.finish();
            List<Word> words = decoder.finalWords();
            String text = Decoder.join(words);
            result = new Result(text, words, samples.duration(), decoder.meaning(text));
        }
        return result;
    }
}
