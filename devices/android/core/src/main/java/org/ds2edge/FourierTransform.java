package org.ds2edge;

import java.util.Arrays;

/**
 * The Fourier transform of real samples, for any length, in double precision.
 *
 * <p>An even length is transformed as half as many complex numbers. These go through Stockham's
 * mixed-radix algorithm. It needs no second pass to sort the results.
 */
final class FourierTransform {
    private final int length;
    private final int points; // complex ones
    private final int[] radices;
    private final double[] cos; // of 2 pi i / length
    private final double[] sin;
    private double[] re;
    private double[] im;
    private double[] nextRe;
    private double[] nextIm;

    FourierTransform(int length) {
        this.length = length;
        this.points = length % 2 == 0 ? length / 2 : length;
        this.radices = factors(points);
        this.cos = new double[length];
        this.sin = new double[length];
        for (int i = 0; i < length; i++) {
            cos[i] = Math.cos(2 * Math.PI * i / length);
            sin[i] = Math.sin(2 * Math.PI * i / length);
        }
        this.re = new double[points];
        this.im = new double[points];
        this.nextRe = new double[points];
        this.nextIm = new double[points];
    }

    /** Fills {@code power} [length / 2 + 1] with the squared magnitudes of the transform. */
    void power(double[] samples, double[] power) {
        if (points == length) {
            System.arraycopy(samples, 0, re, 0, points);
            Arrays.fill(im, 0.0);
        } else {
            for (int i = 0; i < points; i++) {
                re[i] = samples[2 * i];
                im[i] = samples[2 * i + 1];
            }
        }
        transform();
        for (int k = 0; k <= length / 2; k++) {
            power[k] = points == length ? re[k] * re[k] + im[k] * im[k] : realPower(k);
        }
    }

    /** Power of bin k of the real samples, whose even and odd ones were the two parts of a point. */
    private double realPower(int k) {
        int a = k % points;
        int b = (points - k) % points;
        double evenRe = (re[a] + re[b]) / 2;
        double evenIm = (im[a] - im[b]) / 2;
        double oddRe = (im[a] + im[b]) / 2;
        double oddIm = (re[b] - re[a]) / 2;
        double real = evenRe + cos[k] * oddRe + sin[k] * oddIm;
        double imaginary = evenIm + cos[k] * oddIm - sin[k] * oddRe;
        return real * real + imaginary * imaginary;
    }

    private void transform() {
        int rest = points;
        int stride = 1;
        for (int radix : radices) {
            rest /= radix;
            if (radix == 4) {
                pass4(rest, stride);
            } else {
                pass(radix, rest, stride);
            }
            stride *= radix;
            double[] swap = re;
            re = nextRe;
            nextRe = swap;
            swap = im;
            im = nextIm;
            nextIm = swap;
        }
    }

    /** One pass of radix 4 over {@code rest} groups. */
    private void pass4(int rest, int stride) {
        int turn = length / points * stride; // of one twiddle factor, in entries of the tables
        int quarter = stride * rest;
        for (int p = 0; p < rest; p++) {
            double c1 = cos[p * turn];
            double s1 = sin[p * turn];
            double c2 = cos[2 * p * turn];
            double s2 = sin[2 * p * turn];
            double c3 = cos[3 * p * turn];
            double s3 = sin[3 * p * turn];
            for (int q = 0; q < stride; q++) {
                int from = q + stride * p;
                double aRe = re[from] + re[from + 2 * quarter];
                double aIm = im[from] + im[from + 2 * quarter];
                double bRe = re[from] - re[from + 2 * quarter];
                double bIm = im[from] - im[from + 2 * quarter];
                double cRe = re[from + quarter] + re[from + 3 * quarter];
                double cIm = im[from + quarter] + im[from + 3 * quarter];
                double dRe = im[from + quarter] - im[from + 3 * quarter]; // times -i
                double dIm = re[from + 3 * quarter] - re[from + quarter];
                int to = q + stride * 4 * p;
                nextRe[to] = aRe + cRe;
                nextIm[to] = aIm + cIm;
                put(to + stride, bRe + dRe, bIm + dIm, c1, s1);
                put(to + 2 * stride, aRe - cRe, aIm - cIm, c2, s2);
                put(to + 3 * stride, bRe - dRe, bIm - dIm, c3, s3);
            }
        }
    }

    /** One pass of any radix. */
    private void pass(int radix, int rest, int stride) {
        int scale = length / points;
        int part = stride * rest;
        for (int p = 0; p < rest; p++) {
            for (int k = 0; k < radix; k++) {
                int twiddle = scale * stride * p * k;
                for (int q = 0; q < stride; q++) {
                    int from = q + stride * p;
                    double sumRe = re[from];
                    double sumIm = im[from];
                    for (int j = 1; j < radix; j++) {
                        int root = scale * (points / radix) * (j * k % radix);
                        double c = cos[root];
                        double s = sin[root];
                        double x = re[from + j * part];
                        double y = im[from + j * part];
                        sumRe += c * x + s * y;
                        sumIm += c * y - s * x;
                    }
                    put(q + stride * (radix * p + k), sumRe, sumIm, cos[twiddle], sin[twiddle]);
                }
            }
        }
    }

    /** Stores a value times a twiddle factor. */
    private void put(int to, double x, double y, double c, double s) {
        nextRe[to] = c * x + s * y;
        nextIm[to] = c * y - s * x;
    }

    /** The factors 4 as far as they go, then the prime factors. */
    private static int[] factors(int number) {
        int[] factors = new int[32];
        int count = 0;
        int radix = 4;
        while (number > 1) {
            if (number % radix == 0) {
                factors[count++] = radix;
                number /= radix;
            } else {
                radix = radix == 4 ? 2 : radix == 2 ? 3 : radix + 2;
            }
        }
        return Arrays.copyOf(factors, count);
    }
}
