package org.ds2edge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Streams over the recorded network, however the sound is cut. */
class StreamTest {
    private static final int RATE = 16000;
    private static final double TOLERANCE = 2e-4; // of the confidence
    private static final short[] SPEECH =
            Vectors.shorts((String) Vectors.json("streams.json").get("samples"));

    static java.util.stream.Stream<Vectors.Case> streams() {
        return Vectors.cases("streams.json");
    }

    @ParameterizedTest
    @MethodSource("streams")
    void hasTheTextOfPythonAfterEachPiece(Vectors.Case each) {
        List<Object> cuts = Vectors.list(Vectors.json("streams.json").get("cuts"));
        Stream stream = recognizer(each).stream();
        List<Object> partials = new ArrayList<>();
        int from = 0;
        for (int i = 0; from < SPEECH.length; i++) {
            int cut = ((Long) cuts.get(i % cuts.size())).intValue();
            int length = Math.min(cut, SPEECH.length - from);
            stream.accept(SPEECH, from, length, RATE);
            partials.add(stream.partial());
            from += length;
        }
        assertEquals(each.get("partials"), partials);
        assertResult(each, stream.finish());
    }

    @ParameterizedTest
    @MethodSource("streams")
    void isTheSameHoweverItIsCut(Vectors.Case each) {
        Recognizer recognizer = recognizer(each);
        float[] floats = Vectors.toFloat(SPEECH, SPEECH.length);
        for (int seed = 0; seed < 20; seed++) {
            Random random = new Random(seed);
            Stream stream = recognizer.stream();
            int most = 1 << random.nextInt(16);
            for (int from = 0; from < SPEECH.length; ) {
                int length = Math.min(1 + random.nextInt(most), SPEECH.length - from);
                if (random.nextBoolean()) {
                    stream.accept(SPEECH, from, length, RATE);
                } else {
                    stream.accept(floats, from, length, RATE);
                }
                from += length;
            }
            assertResult(each, stream.finish());
        }
    }

    @ParameterizedTest
    @MethodSource("streams")
    void interleavesTenStreams(Vectors.Case each) {
        Recognizer recognizer = recognizer(each);
        Stream[] streams = new Stream[10];
        int[] from = new int[streams.length];
        for (int i = 0; i < streams.length; i++) {
            streams[i] = recognizer.stream();
        }
        Random random = new Random(0);
        for (int open = streams.length; open > 0; ) {
            int i = random.nextInt(streams.length);
            if (from[i] < SPEECH.length) {
                int length = Math.min(random.nextInt(20000), SPEECH.length - from[i]);
                streams[i].accept(SPEECH, from[i], length, RATE);
                from[i] += length;
                open -= from[i] == SPEECH.length ? 1 : 0;
            }
        }
        for (Stream stream : streams) {
            assertResult(each, stream.finish());
        }
    }

    @ParameterizedTest
    @MethodSource("streams")
    void cutsUtterances(Vectors.Case each) {
        Vectors.Case expected =
                Vectors.cases("endpoints.json")
                        .filter(one -> one.text("name").equals(each.text("name")))
                        .findFirst()
                        .get();
        Listener listener = recognizer(each).listener(EndpointRules.DEFAULT);
        List<Utterance> found = new ArrayList<>();
        for (int from = 0; from < SPEECH.length; from += 1000) {
            int length = Math.min(1000, SPEECH.length - from);
            found.addAll(listener.accept(SPEECH, from, length, RATE));
        }
        assertThrows(InputException.class, () -> listener.accept(SPEECH, 0, 10, 4000));
        found.addAll(listener.finish());
        List<Object> utterances = Vectors.list(expected.get("utterances"));
        assertEquals(utterances.size(), found.size());
        for (int i = 0; i < found.size(); i++) {
            Map<String, Object> wanted = Vectors.table(utterances.get(i));
            Vectors.assertWords(wanted.get("words"), found.get(i).words, TOLERANCE);
            assertEquals(found.get(i).words.get(0).start, found.get(i).start);
        }
        assertEquals(Vectors.number(each.get("duration")), listener.duration());
    }

    @ParameterizedTest
    @MethodSource("streams")
    void allocatesNothingPerFrame(Vectors.Case each) {
        Specification specification = specification(each);
        Recognizer recognizer = new Recognizer(specification, new SilentEngine(specification));
        Listener listener = recognizer.listener(new EndpointRules(1e6, 1e6, 1e6));
        short[] second = Arrays.copyOf(SPEECH, RATE);
        com.sun.management.ThreadMXBean threads =
                (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
        long thread = Thread.currentThread().getId();
        for (int i = 0; i < 5; i++) {
            listener.accept(second, 0, RATE, RATE);
        }
        long before = threads.getThreadAllocatedBytes(thread);
        for (int i = 0; i < 100; i++) {
            listener.accept(second, 0, RATE, RATE);
        }
        long frames = 100L * RATE / specification.features.hop;
        long bytes = threads.getThreadAllocatedBytes(thread) - before;
        assertTrue(bytes < frames, bytes + " bytes for " + frames + " frames");
    }

    @ParameterizedTest
    @MethodSource("streams")
    void listensForAnHourInConstantMemory(Vectors.Case each) {
        Specification specification = specification(each);
        TalkingEngine engine = new TalkingEngine(specification);
        Listener listener = new Recognizer(specification, engine).listener(EndpointRules.DEFAULT);
        short[] block = new short[RATE];
        Random random = new Random(1);
        for (int i = 0; i < block.length; i++) {
            block[i] = (short) random.nextInt(2000);
        }
        int utterances = 0;
        long early = 0;
        for (int second = 0; second < 3600; second++) {
            utterances += listener.accept(block, 0, block.length, RATE).size();
            if (second == 300) {
                early = usedBytes();
            }
        }
        assertTrue(utterances > 300, utterances + " utterances");
        long grown = usedBytes() - early;
        assertTrue(grown < 1 << 20, "grown by " + grown + " bytes");
        assertEquals(3600.0, listener.duration());
    }

    private static long usedBytes() {
        System.gc();
        return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
    }

    private static void assertResult(Vectors.Case each, Result result) {
        Vectors.assertWords(each.get("words"), result.words, TOLERANCE);
        assertEquals(Decoder.join(result.words), result.text);
        assertEquals(Vectors.number(each.get("duration")), result.duration);
    }

    private static Recognizer recognizer(Vectors.Case each) {
        Specification specification = specification(each);
        return new Recognizer(specification, new ReplayEngine(each, specification));
    }

    private static Specification specification(Vectors.Case each) {
        return Specification.read(new File(Vectors.PROJECT, each.text("model")));
    }

    /** A network that outputs blanks. */
    private static class SilentEngine implements Engine {
        private final int symbols;

        SilentEngine(Specification specification) {
            symbols = specification.alphabet.size();
        }

        @Override
        public void step(Map<String, float[]> inputs, Map<String, float[]> outputs) {
            float[] logits = outputs.get("logits");
            Arrays.fill(logits, 0f);
            for (int i = 0; i < logits.length; i += symbols) {
                logits[i] = 9f;
            }
        }

        @Override
        public void close() {}
    }

    /** A network that says some symbols, then is silent for a while, again and again. */
    private static final class TalkingEngine extends SilentEngine {
        private final int symbols;
        private final int pauseChunks;
        private int chunk;

        TalkingEngine(Specification specification) {
            super(specification);
            symbols = specification.alphabet.size();
            pauseChunks = (int) (4 / specification.stepSeconds() / specification.chunkSteps);
        }

        @Override
        public void step(Map<String, float[]> inputs, Map<String, float[]> outputs) {
            super.step(inputs, outputs);
            float[] logits = outputs.get("logits");
            boolean talks = chunk++ / pauseChunks % 2 == 0;
            for (int step = 0; step < logits.length / symbols && talks; step += 2) {
                logits[step * symbols + 1 + (chunk + step) % (symbols - 1)] = 12f;
            }
        }
    }
}
