package org.ds2edge;

import java.util.Arrays;

/**
 * The Fourier transform of real samples, for any length, in double precision.
 *
 * <p>An even length is transformed as half as many complex numbers. These go through Stockham's
 * mixed-radix algorithm. It needs no second pass to sort the results.
 */
final class FourierTransform {
    private static final double COS_72 = Math.cos(2 * Math.PI / 5);
    private static final double SIN_72 = Math.sin(2 * Math.PI / 5);
    private static final double COS_144 = Math.cos(4 * Math.PI / 5);
    private static final double SIN_144 = Math.sin(4 * Math.PI / 5);

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

    /** Fills {@code power} [length / 2 + 1] with the power spectrum of samples times a window. */
    void power(float[] samples, double[] window, double[] power) {
        if (points == length) {
            for (int i = 0; i < points; i++) {
                re[i] = samples[i] * window[i];
                im[i] = 0;
            }
        } else {
            for (int i = 0; i < points; i++) {
                re[i] = samples[2 * i] * window[2 * i];
                im[i] = samples[2 * i + 1] * window[2 * i + 1];
            }
        }
        transform();
        if (points == length) {
            for (int k = 0; k <= length / 2; k++) {
                power[k] = re[k] * re[k] + im[k] * im[k];
            }
            return;
        }
        for (int k = 0; k <= points / 2; k++) {
            realPower(k, power);
        }
    }

    /** Power of bins k and points - k of the real samples: the two parts of a point are two of them. */
    private void realPower(int k, double[] power) {
        int other = k == 0 ? 0 : points - k;
        double evenRe = (re[k] + re[other]) / 2;
        double evenIm = (im[k] - im[other]) / 2;
        double oddRe = (im[k] + im[other]) / 2;
        double oddIm = (re[other] - re[k]) / 2;
        double turnedRe = cos[k] * oddRe + sin[k] * oddIm;
        double turnedIm = cos[k] * oddIm - sin[k] * oddRe;
        double real = evenRe + turnedRe;
        double imaginary = evenIm + turnedIm;
        power[k] = real * real + imaginary * imaginary;
        real = evenRe - turnedRe;
        imaginary = evenIm - turnedIm;
        power[points - k] = real * real + imaginary * imaginary;
    }

    private void transform() {
        int rest = points;
        int stride = 1;
        for (int radix : radices) {
            rest /= radix;
            switch (radix) {
                case 2:
                    pass2(rest, stride);
                    break;
                case 4:
                    pass4(rest, stride);
                    break;
                case 5:
                    pass5(rest, stride);
                    break;
                default:
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

    /** One pass of radix 2 over {@code rest} groups. */
    private void pass2(int rest, int stride) {
        int turn = length / points * stride; // of one twiddle factor, in entries of the tables
        int half = stride * rest;
        for (int p = 0; p < rest; p++) {
            double c = cos[p * turn];
            double s = sin[p * turn];
            int from = stride * p;
            int to = stride * 2 * p;
            for (int q = 0; q < stride; q++, from++, to++) {
                double x = re[from] - re[from + half];
                double y = im[from] - im[from + half];
                nextRe[to] = re[from] + re[from + half];
                nextIm[to] = im[from] + im[from + half];
                put(to + stride, x, y, c, s);
            }
        }
    }

    private void pass4(int rest, int stride) {
        int turn = length / points * stride;
        int quarter = stride * rest;
        for (int p = 0; p < rest; p++) {
            double c1 = cos[p * turn];
            double s1 = sin[p * turn];
            double c2 = cos[2 * p * turn];
            double s2 = sin[2 * p * turn];
            double c3 = cos[3 * p * turn];
            double s3 = sin[3 * p * turn];
            int from = stride * p;
            int to = stride * 4 * p;
            for (int q = 0; q < stride; q++, from++, to++) {
                double aRe = re[from] + re[from + 2 * quarter];
                double aIm = im[from] + im[from + 2 * quarter];
                double bRe = re[from] - re[from + 2 * quarter];
                double bIm = im[from] - im[from + 2 * quarter];
                double cRe = re[from + quarter] + re[from + 3 * quarter];
                double cIm = im[from + quarter] + im[from + 3 * quarter];
                double dRe = im[from + quarter] - im[from + 3 * quarter]; // times -i
                double dIm = re[from + 3 * quarter] - re[from + quarter];
                nextRe[to] = aRe + cRe;
                nextIm[to] = aIm + cIm;
                put(to + stride, bRe + dRe, bIm + dIm, c1, s1);
                put(to + 2 * stride, aRe - cRe, aIm - cIm, c2, s2);
                put(to + 3 * stride, bRe - dRe, bIm - dIm, c3, s3);
            }
        }
    }

    private void pass5(int rest, int stride) {
        int turn = length / points * stride;
        int fifth = stride * rest;
        for (int p = 0; p < rest; p++) {
            double c1 = cos[p * turn];
            double s1 = sin[p * turn];
            double c2 = cos[2 * p * turn];
            double s2 = sin[2 * p * turn];
            double c3 = cos[3 * p * turn];
            double s3 = sin[3 * p * turn];
            double c4 = cos[4 * p * turn];
            double s4 = sin[4 * p * turn];
            int from = stride * p;
            int to = stride * 5 * p;
            for (int q = 0; q < stride; q++, from++, to++) {
                double aRe = re[from + fifth] + re[from + 4 * fifth];
                double aIm = im[from + fifth] + im[from + 4 * fifth];
                double bRe = re[from + 2 * fifth] + re[from + 3 * fifth];
                double bIm = im[from + 2 * fifth] + im[from + 3 * fifth];
                double cRe = re[from + fifth] - re[from + 4 * fifth];
                double cIm = im[from + fifth] - im[from + 4 * fifth];
                double dRe = re[from + 2 * fifth] - re[from + 3 * fifth];
                double dIm = im[from + 2 * fifth] - im[from + 3 * fifth];
                double evenRe = re[from] + COS_72 * aRe + COS_144 * bRe;
                double evenIm = im[from] + COS_72 * aIm + COS_144 * bIm;
                double oddRe = SIN_72 * cIm + SIN_144 * dIm; // times -i
                double oddIm = -SIN_72 * cRe - SIN_144 * dRe;
                put(to + stride, evenRe + oddRe, evenIm + oddIm, c1, s1);
                put(to + 4 * stride, evenRe - oddRe, evenIm - oddIm, c4, s4);
                evenRe = re[from] + COS_144 * aRe + COS_72 * bRe;
                evenIm = im[from] + COS_144 * aIm + COS_72 * bIm;
                oddRe = SIN_144 * cIm - SIN_72 * dIm;
                oddIm = SIN_72 * dRe - SIN_144 * cRe;
                put(to + 2 * stride, evenRe + oddRe, evenIm + oddIm, c2, s2);
                put(to + 3 * stride, evenRe - oddRe, evenIm - oddIm, c3, s3);
                nextRe[to] = re[from] + aRe + bRe;
                nextIm[to] = im[from] + aIm + bIm;
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

    private static int[] factors(int number) {
        int[] factors = new int[32];
        int count = 0;
        for (int radix : new int[] {5, 4, 2, 3}) {
            for (; number % radix == 0; number /= radix) {
                factors[count++] = radix;
            }
        }
        for (int radix = 7; number > 1; radix += 2) {
            for (; number % radix == 0; number /= radix) {
                factors[count++] = radix;
            }
        }
        return Arrays.copyOf(factors, count);
    }
}
