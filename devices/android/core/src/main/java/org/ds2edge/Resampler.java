package org.ds2edge;

/**
 * Converts a stream of mono samples to another rate with a polyphase filter: a sinc with a Kaiser
 * window. It passes sound up to 91 % of half the lower rate, and nothing above half the lower rate.
 *
 * <p>How the samples are cut into calls does not change the result.
 */
final class Resampler {
    private static final int ZERO_CROSSINGS = 64; // of the sinc, on each side
    private static final double CUTOFF = 0.9565; // share of half the lower rate
    private static final double KAISER_BETA = 9.0; // -90 dB outside the band
    private static final int BLOCK = 1024;

    private final SampleSink sink;
    private final int up; // output samples per `down` input samples
    private final int down;
    private final int half; // taps on each side
    private final float[][] phases; // the taps for each fraction of an input sample
    private final float[] history;
    private final float[] output = new float[BLOCK];
    private int filled; // samples in the history
    private int position; // in the history: the first tap of the next output sample
    private int phase;
    private long outputs; // samples still to come if the stream ended now, times `up`

    /** Rates in Hz, not equal. */
    Resampler(int inputRate, int outputRate, SampleSink sink) {
        this.sink = sink;
        int divisor = greatestCommonDivisor(inputRate, outputRate);
        up = outputRate / divisor;
        down = inputRate / divisor;
        double lower = Math.min(1.0, (double) outputRate / inputRate);
        half = 2 * (int) Math.ceil(ZERO_CROSSINGS / lower / 2); // even: see `sum`
        phases = new float[up][];
        for (int i = 0; i < up; i++) {
            phases[i] = taps((double) i / up, CUTOFF * lower);
        }
        history = new float[2 * half + BLOCK];
        filled = half - 1; // silence before the first sample
    }

    /** Takes the next samples. */
    void accept(float[] samples, int offset, int length) {
        outputs += (long) length * up;
        feed(samples, offset, length);
    }

    /** Ends the stream: passes on the samples that the filter still holds. */
    void finish() {
        feed(new float[half + 1], 0, half + 1);
    }

    private void feed(float[] samples, int offset, int length) {
        while (length > 0) {
            int count = Math.min(length, history.length - filled);
            System.arraycopy(samples, offset, history, filled, count);
            offset += count;
            length -= count;
            filled += count;
            filter();
            int done = Math.min(position, filled);
            System.arraycopy(history, done, history, 0, filled - done);
            filled -= done;
            position -= done;
        }
    }

    /** Computes all output samples whose taps are in the history. */
    private void filter() {
        int count = 0;
        while (position + 2 * half <= filled && outputs > 0) {
            output[count++] = sum(phases[phase], position);
            outputs -= down;
            phase += down;
            position += phase / up;
            phase %= up;
            if (count == output.length) {
                sink.accept(output, 0, count);
                count = 0;
            }
        }
        if (count > 0) {
            sink.accept(output, 0, count);
        }
    }

    /** Four sums side by side, which a processor adds faster than one. */
    private float sum(float[] taps, int from) {
        float a = 0;
        float b = 0;
        float c = 0;
        float d = 0;
        for (int i = 0; i < taps.length; i += 4) {
            a += taps[i] * history[from + i];
            b += taps[i + 1] * history[from + i + 1];
            c += taps[i + 2] * history[from + i + 2];
            d += taps[i + 3] * history[from + i + 3];
        }
        return a + b + (c + d);
    }

    /** The filter at the input samples around a place that lies {@code fraction} after a sample. */
    private float[] taps(double fraction, double cutoff) {
        double[] exact = new double[2 * half];
        double sum = 0;
        for (int i = 0; i < exact.length; i++) {
            double t = i - (half - 1) - fraction;
            exact[i] = sinc(cutoff * t) * kaiser(t / half);
            sum += exact[i];
        }
        float[] taps = new float[exact.length];
        for (int i = 0; i < taps.length; i++) {
            taps[i] = (float) (exact[i] / sum); // a constant stays as it is
        }
        return taps;
    }

    private static double sinc(double x) {
        return x == 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
    }

    private static double kaiser(double x) {
        return Math.abs(x) >= 1 ? 0 : bessel(KAISER_BETA * Math.sqrt(1 - x * x)) / bessel(KAISER_BETA);
    }

    /** The modified Bessel function of order 0. */
    private static double bessel(double x) {
        double sum = 1;
        double term = 1;
        for (int k = 1; term > 1e-12 * sum; k++) {
            term *= x / (2 * k) * (x / (2 * k));
            sum += term;
        }
        return sum;
    }

    private static int greatestCommonDivisor(int a, int b) {
        return b == 0 ? a : greatestCommonDivisor(b, a % b);
    }
}
