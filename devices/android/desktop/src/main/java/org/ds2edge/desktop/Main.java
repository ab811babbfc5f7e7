package org.ds2edge.desktop;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.ds2edge.EndpointRules;
import org.ds2edge.Engine;
import org.ds2edge.Listener;
import org.ds2edge.Phrases;
import org.ds2edge.Recognizer;
import org.ds2edge.Result;
import org.ds2edge.Specification;
import org.ds2edge.State;
import org.ds2edge.Stream;
import org.ds2edge.Utterance;
import org.ds2edge.Word;

/** Runs the core with real inference on a desktop, so that tests can compare it with Python. */
final class Main {
    private static final String USAGE =
            """
            network LIBRARY MODEL FRAMES OUTPUT     float32 frames to logits, then all states
            transcribe LIBRARY MODEL PHRASES RATE SOUND...   int16 sound to words; PHRASES may be -
            time LIBRARY MODEL SOUND                int16 sound at 16 kHz: milliseconds a chunk
            """;

    private static final int RUNS = 100; // all but the last 20 let the JVM compile

    private Main() {}

    public static void main(String[] arguments) throws IOException {
        if (arguments.length < 4) {
            System.err.print(USAGE);
            System.exit(2);
        }
        Path model = Path.of(arguments[2]);
        Specification specification = Specification.read(model.toFile());
        try (Engine engine = new LiteRtEngine(Path.of(arguments[1]), model)) {
            switch (arguments[0]) {
                case "network" -> network(specification, engine, arguments[3], arguments[4]);
                case "transcribe" -> {
                    Recognizer recognizer = new Recognizer(specification, engine);
                    if (!arguments[3].equals("-")) {
                        recognizer.setPhrases(Phrases.read(Path.of(arguments[3]).toFile()));
                    }
                    int rate = Integer.parseInt(arguments[4]);
                    for (String sound : Arrays.asList(arguments).subList(5, arguments.length)) {
                        transcribe(recognizer, shorts(sound), rate);
                    }
                }
                case "time" -> time(specification, engine, shorts(arguments[3]));
                default -> throw new IllegalArgumentException(USAGE);
            }
        }
    }

    private static void network(Specification specification, Engine engine, String in, String out)
            throws IOException {
        float[] frames = floats(in);
        float[] features = new float[specification.chunkFrames() * specification.features.bins()];
        float[] logits = new float[specification.chunkSteps * specification.alphabet.size()];
        Map<String, float[]> inputs = new HashMap<>(Map.of("features", features));
        for (State state : specification.states) {
            inputs.put(state.name, new float[state.size]);
        }
        List<float[]> results = new ArrayList<>();
        for (int from = 0; from < frames.length; from += features.length) {
            System.arraycopy(frames, from, features, 0, features.length);
            Map<String, float[]> outputs = new HashMap<>(Map.of("logits", logits));
            for (State state : specification.states) {
                outputs.put(state.output, new float[state.size]);
            }
            engine.step(inputs, outputs);
            results.add(logits.clone());
            for (State state : specification.states) {
                inputs.put(state.name, outputs.get(state.output));
            }
        }
        for (State state : specification.states) {
            results.add(inputs.get(state.name));
        }
        int size = results.stream().mapToInt(values -> values.length).sum();
        ByteBuffer bytes = ByteBuffer.allocate(4 * size).order(ByteOrder.LITTLE_ENDIAN);
        for (float[] values : results) {
            for (float value : values) {
                bytes.putFloat(value);
            }
        }
        Files.write(Path.of(out), bytes.array());
    }

    /** Prints the words of a sound, then its utterances, one a line, with tabs between fields. */
    private static void transcribe(Recognizer recognizer, short[] sound, int rate) {
        Stream stream = recognizer.stream();
        Listener listener = recognizer.listener(EndpointRules.DEFAULT);
        List<Utterance> utterances = new ArrayList<>();
        Random random = new Random(sound.length);
        for (int from = 0; from < sound.length; ) {
            int length = Math.min(1 + random.nextInt(5000), sound.length - from);
            stream.accept(sound, from, length, rate);
            utterances.addAll(listener.accept(sound, from, length, rate));
            from += length;
        }
        utterances.addAll(listener.finish());
        Result result = stream.finish();
        for (Word word : result.words) {
            print("word", word.text, word.start, word.end, word.confidence);
        }
        for (Utterance each : utterances) {
            print("utterance", each.text, each.start, each.end, each.confidence);
        }
        print("duration", "", 0, result.duration, 0);
    }

    private static void print(String kind, String text, double start, double end, double confidence) {
        System.out.println(String.join("\t", kind, text, "" + start, "" + end, "" + confidence));
    }

    /** Prints the milliseconds per chunk of the network, and of all else: the median of 20 runs. */
    private static void time(Specification specification, Engine engine, short[] sound) {
        Stopwatch stopwatch = new Stopwatch(engine);
        Recognizer recognizer = new Recognizer(specification, stopwatch);
        List<Double> network = new ArrayList<>();
        List<Double> rest = new ArrayList<>();
        for (int run = 0; run < RUNS; run++) {
            stopwatch.nanoseconds = 0;
            stopwatch.chunks = 0;
            long before = cpuNanoseconds();
            Listener listener = recognizer.listener(EndpointRules.DEFAULT);
            for (int from = 0; from < sound.length; from += 1600) {
                listener.accept(sound, from, Math.min(1600, sound.length - from), 16000);
                listener.partial();
            }
            listener.finish();
            double total = cpuNanoseconds() - before;
            network.add(stopwatch.nanoseconds / 1e6 / stopwatch.chunks);
            rest.add((total - stopwatch.nanoseconds) / 1e6 / stopwatch.chunks);
        }
        print("time", "", median(network), median(rest), 0);
    }

    /** Time of this thread on a processor: other programs do not lengthen it. */
    private static long cpuNanoseconds() {
        return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    }

    private static double median(List<Double> values) {
        double[] last = values.stream().skip(RUNS - 20).mapToDouble(x -> x).sorted().toArray();
        return last[last.length / 2];
    }

    private static short[] shorts(String file) throws IOException {
        ByteBuffer bytes = read(file);
        short[] values = new short[bytes.remaining() / 2];
        bytes.asShortBuffer().get(values);
        return values;
    }

    private static float[] floats(String file) throws IOException {
        ByteBuffer bytes = read(file);
        float[] values = new float[bytes.remaining() / 4];
        bytes.asFloatBuffer().get(values);
        return values;
    }

    private static ByteBuffer read(String file) throws IOException {
        return ByteBuffer.wrap(Files.readAllBytes(Path.of(file))).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** An engine that measures the time it takes. */
    private static final class Stopwatch implements Engine {
        private final Engine engine;
        long nanoseconds;
        int chunks;

        Stopwatch(Engine engine) {
            this.engine = engine;
        }

        @Override
        public void step(Map<String, float[]> inputs, Map<String, float[]> outputs) {
            long before = cpuNanoseconds();
            engine.step(inputs, outputs);
            nanoseconds += cpuNanoseconds() - before;
            chunks++;
        }

        @Override
        public void close() {
            engine.close();
        }
    }
}
