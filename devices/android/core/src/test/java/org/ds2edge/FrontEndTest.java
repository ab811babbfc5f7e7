package org.ds2edge;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The resampler and the features, against the golden vectors. */
class FrontEndTest {
    private static final double RESAMPLER_TOLERANCE = 2e-3;
    private static final int EDGE = 320; // samples at 16 kHz
    private static final double RELATIVE = 1.2e-7; // the last bit of float32
    private static final double ABSOLUTE = 1e-8;

    static java.util.stream.Stream<Vectors.Case> resampler() {
        return Vectors.cases("resampler.json");
    }

    static java.util.stream.Stream<Vectors.Case> features() {
        return Vectors.cases("features.json");
    }

    @ParameterizedTest
    @MethodSource("resampler")
    void resamples(Vectors.Case each) {
        float[] expected = Vectors.floats(each.file("expected"));
        float[] found = resampled(each, new int[] {4096});
        assertEquals(expected.length, found.length);
        for (int i = EDGE; i < found.length - EDGE; i++) {
            assertEquals(expected[i], found[i], RESAMPLER_TOLERANCE, "sample " + i);
        }
    }

    @ParameterizedTest
    @MethodSource("resampler")
    void resamplesTheSameHoweverItIsCut(Vectors.Case each) {
        float[] whole = resampled(each, new int[] {1 << 20});
        assertArrayEquals(whole, resampled(each, new int[] {1}));
        assertArrayEquals(whole, resampled(each, new int[] {1, 3, 1000, 7, 160}));
    }

    @ParameterizedTest
    @MethodSource("features")
    void measures(Vectors.Case each) {
        float[] expected = Vectors.floats(each.file("frames"));
        float[] found = frames(each, new int[] {1 << 20});
        assertEquals(expected.length, found.length);
        for (int i = 0; i < found.length; i++) {
            double tolerance = RELATIVE * Math.abs(expected[i]) + ABSOLUTE;
            assertEquals(expected[i], found[i], tolerance, "value " + i);
        }
    }

    @ParameterizedTest
    @MethodSource("features")
    void measuresTheSameHoweverItIsCut(Vectors.Case each) {
        List<Object> cuts = Vectors.list(Vectors.json("features.json").get("cuts"));
        float[] whole = frames(each, new int[] {1 << 20});
        assertArrayEquals(whole, frames(each, cuts.stream().mapToInt(FrontEndTest::whole).toArray()));
        assertArrayEquals(whole, frames(each, new Random(1).ints(50, 1, 700).toArray()));
    }

    @Test
    void transformsAnyLength() {
        Random random = new Random(2);
        for (int length : new int[] {1, 2, 3, 12, 64, 97, 200, 221, 320, 400, 441, 512}) {
            float[] samples = new float[length];
            double[] window = random.doubles(length, -1, 1).toArray();
            for (int i = 0; i < length; i++) {
                samples[i] = random.nextFloat();
            }
            double[] power = new double[length / 2 + 1];
            new FourierTransform(length).power(samples, window, power);
            for (int k = 0; k <= length / 2; k++) {
                double re = 0;
                double im = 0;
                for (int n = 0; n < length; n++) {
                    re += samples[n] * window[n] * Math.cos(2 * Math.PI * k * n / length);
                    im -= samples[n] * window[n] * Math.sin(2 * Math.PI * k * n / length);
                }
                assertEquals(re * re + im * im, power[k], 1e-11 * length, length + ", bin " + k);
            }
        }
    }

    @Test
    void removesWhatTheNewRateCannotHold() {
        float[] tone = new float[48000];
        for (int i = 0; i < tone.length; i++) {
            tone[i] = (float) Math.sin(2 * Math.PI * 9000 * i / 48000);
        }
        Collector found = new Collector();
        Resampler resampler = new Resampler(48000, 16000, found);
        resampler.accept(tone, 0, tone.length);
        resampler.finish();
        float[] rest = found.values();
        for (int i = EDGE; i < rest.length - EDGE; i++) {
            assertTrue(Math.abs(rest[i]) < 1e-4, "sample " + i);
        }
    }

    private static float[] resampled(Vectors.Case each, int[] cuts) {
        float[] samples = samples(each.file("samples"), Integer.MAX_VALUE);
        Collector found = new Collector();
        Resampler resampler = new Resampler(each.whole("rate"), 16000, found);
        cut(samples, cuts, resampler::accept);
        resampler.finish();
        return found.values();
    }

    private static float[] frames(Vectors.Case each, int[] cuts) {
        FeatureSettings settings = FeatureSettings.of(Vectors.table(each.get("settings")));
        Collector found = new Collector();
        FrameSink sink = frame -> found.accept(frame, 0, frame.length);
        Fields fields = new Fields(each.values, "case");
        Features features =
                new Features(settings, fields.numbers("mean"), fields.numbers("deviation"), sink);
        String file = (String) Vectors.json("features.json").get("samples");
        cut(samples(file, each.whole("length")), cuts, features::accept);
        return found.values();
    }

    private static float[] samples(String file, int length) {
        short[] samples = Vectors.shorts(file);
        return Vectors.toFloat(samples, Math.min(length, samples.length));
    }

    private static void cut(float[] samples, int[] cuts, SampleSink sink) {
        int from = 0;
        for (int i = 0; from < samples.length; i++) {
            int length = Math.min(cuts[i % cuts.length], samples.length - from);
            sink.accept(samples, from, length);
            from += length;
        }
    }

    private static int whole(Object value) {
        return ((Long) value).intValue();
    }

    /** Keeps all values. */
    private static final class Collector implements SampleSink {
        private float[] values = new float[1024];
        private int size;

        @Override
        public void accept(float[] more, int offset, int length) {
            while (size + length > values.length) {
                values = Arrays.copyOf(values, 2 * values.length);
            }
            System.arraycopy(more, offset, values, size, length);
            size += length;
        }

        float[] values() {
            return Arrays.copyOf(values, size);
        }
    }
}
