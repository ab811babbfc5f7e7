package org.ds2edge;

import java.util.Arrays;

/**
 * Triangular filters with peak 1, equally spaced from 0 Hz to half the sample rate on the mel scale
 * of HTK: 2595 log10(1 + f / 700).
 */
final class MelFilters {
    private final int[] first; // bin of each band
    private final double[][] weights; // of each band, from its first bin on

    MelFilters(FeatureSettings settings) {
        int bands = settings.melBands;
        int bins = settings.window / 2 + 1;
        double top = mel(settings.sampleRate / 2.0);
        first = new int[bands];
        weights = new double[bands][];
        for (int band = 0; band < bands; band++) {
            double left = hertz(top * band / (bands + 1));
            double centre = hertz(top * (band + 1) / (bands + 1));
            double right = hertz(top * (band + 2) / (bands + 1));
            double[] triangle = new double[bins];
            int nearest = 0;
            for (int bin = 0; bin < bins; bin++) {
                double f = frequency(settings, bin);
                double height = Math.min((f - left) / (centre - left), (right - f) / (right - centre));
                triangle[bin] = Math.max(0.0, height);
                if (Math.abs(f - centre) < Math.abs(frequency(settings, nearest) - centre)) {
                    nearest = bin;
                }
            }
            triangle[nearest] = 1.0; // a band narrower than a bin would be zero everywhere
            keep(band, triangle);
        }
    }

    /** Sums the power of the bins of each band. */
    void apply(double[] power, double[] bands) {
        for (int band = 0; band < weights.length; band++) {
            double[] triangle = weights[band];
            int from = first[band];
            double sum = 0;
            for (int i = 0; i < triangle.length; i++) {
                sum += triangle[i] * power[from + i];
            }
            bands[band] = sum;
        }
    }

    /** Keeps the part of a triangle that is above zero. */
    private void keep(int band, double[] triangle) {
        int from = 0;
        while (triangle[from] == 0) {
            from++;
        }
        int to = triangle.length;
        while (triangle[to - 1] == 0) {
            to--;
        }
        first[band] = from;
        weights[band] = Arrays.copyOfRange(triangle, from, to);
    }

    private static double frequency(FeatureSettings settings, int bin) {
        return (double) bin * settings.sampleRate / settings.window;
    }

    private static double mel(double hertz) {
        return 2595 * Math.log10(1 + hertz / 700);
    }

    private static double hertz(double mel) {
        return 700 * (Math.pow(10, mel / 2595) - 1);
    }
}
