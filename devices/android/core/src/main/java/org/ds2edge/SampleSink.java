package org.ds2edge;

/** Takes samples from the resampler. */
interface SampleSink {
    /** Takes the next samples. The array is used again for the next ones. */
    void accept(float[] samples, int offset, int length);
}
