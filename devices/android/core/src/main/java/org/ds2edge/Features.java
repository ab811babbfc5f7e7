package org.ds2edge;

/**
 * The front end: turns a stream of samples into normalised log-power frames.
 *
 * <p>It computes in double precision up to the last step, as the Python runtime does. How the samples
 * are cut into calls does not change the frames.
 */
final class Features {
    private static final double MIN_POWER = 1e-12; // power floor of one bin: -120 dB
    private static final double SILENCE_DB = -104.0; // total power below it is digital silence

    private final FeatureSettings settings;
    private final double[] mean;
    private final double[] std;
    private final FrameSink sink;
    private final FourierTransform transform;
    private final MelFilters filters; // null for linear bins
    // Periodic Hann window, scaled so that a full-scale sine has power 1.
    private final double[] window;
    private final double minPower;
    private final float[] pending; // the samples of the next window
    private int filled;
    private final double[] spectrum;
    private final double[] power;
    private final float[] frame;
    private double level = Double.POSITIVE_INFINITY; // dB; infinite until the first sound

    /** Takes the statistics of the training set in dB, one value per bin. */
    Features(FeatureSettings settings, double[] mean, double[] std, FrameSink sink) {
        this.settings = settings;
        this.mean = mean;
        this.std = std;
        this.sink = sink;
        transform = new FourierTransform(settings.window);
        filters = settings.melBands > 0 ? new MelFilters(settings) : null;
        window = new double[settings.window];
        double sum = 0;
        for (int i = 0; i < window.length; i++) {
            window[i] = 0.5 - 0.5 * Math.cos(2 * Math.PI * i / window.length);
            sum += window[i];
        }
        for (int i = 0; i < window.length; i++) {
            window[i] /= sum / 2;
        }
        minPower = settings.levelRise > 0 ? MIN_POWER : Math.pow(10, settings.floorDb / 10);
        pending = new float[settings.window];
        spectrum = new double[settings.window / 2 + 1];
        power = filters == null ? spectrum : new double[settings.melBands];
        frame = new float[settings.bins()];
    }

    /** Takes the next samples in -1 to 1, at the rate of the settings. */
    void accept(float[] samples, int offset, int length) {
        while (length > 0) {
            int count = Math.min(length, pending.length - filled);
            System.arraycopy(samples, offset, pending, filled, count);
            offset += count;
            length -= count;
            filled += count;
            if (filled == pending.length) {
                measure();
                sink.accept(frame);
                filled -= settings.hop;
                System.arraycopy(pending, settings.hop, pending, 0, filled);
            }
        }
    }

    /** Turns the pending window into a frame. */
    private void measure() {
        transform.power(pending, window, spectrum);
        if (filters != null) {
            filters.apply(spectrum, power);
        }
        double reference = 0;
        if (settings.levelRise > 0) {
            follow();
            reference = level;
        }
        for (int i = 0; i < frame.length; i++) {
            double decibels = 10 * Math.log10(Math.max(power[i], minPower)) - reference;
            decibels = Math.min(Math.max(decibels, settings.floorDb), settings.ceilingDb);
            frame[i] = (float) ((decibels - mean[i]) / std[i]);
        }
    }

    /** Moves the running level towards the power of this frame. Digital silence does not move it. */
    private void follow() {
        double total = 0;
        for (double value : power) {
            total += value;
        }
        double loudness = 10 * Math.log10(Math.max(total, MIN_POWER));
        if (loudness > SILENCE_DB) {
            if (level == Double.POSITIVE_INFINITY) {
                level = loudness;
            }
            double share = loudness > level ? settings.levelRise : settings.levelFall;
            level += share * (loudness - level);
        }
    }
}
