package org.ds2edge;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Assertions;

/** Reads the golden vectors: see tests/golden/vectors/README.md. */
final class Vectors {
    static final File PROJECT = project();
    static final File FOLDER = new File(PROJECT, "tests/golden/vectors");

    private Vectors() {}

    static Map<String, Object> json(String name) {
        return table(Json.parse(new String(bytes(name), StandardCharsets.UTF_8)));
    }

    static java.util.stream.Stream<Case> cases(String name) {
        return list(json(name).get("cases")).stream().map(each -> new Case(table(each)));
    }

    static short[] shorts(String name) {
        short[] values = new short[bytes(name).length / 2];
        buffer(name).asShortBuffer().get(values);
        return values;
    }

    static float[] floats(String name) {
        float[] values = new float[bytes(name).length / 4];
        buffer(name).asFloatBuffer().get(values);
        return values;
    }

    static byte[] bytes(String name) {
        try {
            return Files.readAllBytes(new File(FOLDER, name).toPath());
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    static float[] toFloat(short[] samples, int length) {
        float[] floats = new float[length];
        for (int i = 0; i < length; i++) {
            floats[i] = samples[i] / 32768f;
        }
        return floats;
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> table(Object value) {
        return (Map<String, Object>) value;
    }

    @SuppressWarnings("unchecked")
    static List<Object> list(Object value) {
        return (List<Object>) value;
    }

    static double number(Object value) {
        return ((Number) value).doubleValue();
    }

    /** Asserts that the words are those of the vectors: [text, start, end, confidence]. */
    static void assertWords(Object expected, List<Word> words, double tolerance) {
        List<Object> found = new ArrayList<>();
        List<Object> wanted = new ArrayList<>();
        for (Object each : list(expected)) {
            wanted.add(list(each).subList(0, 3));
        }
        for (Word word : words) {
            found.add(Arrays.asList(word.text, word.start, word.end));
        }
        Assertions.assertEquals(wanted, found);
        for (int i = 0; i < words.size(); i++) {
            double confidence = number(list(list(expected).get(i)).get(3));
            Assertions.assertEquals(confidence, words.get(i).confidence, tolerance);
        }
    }

    private static ByteBuffer buffer(String name) {
        return ByteBuffer.wrap(bytes(name)).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static File project() {
        File folder = new File("").getAbsoluteFile();
        while (!new File(folder, "tests/golden/vectors").isDirectory()) {
            folder = folder.getParentFile();
        }
        return folder;
    }

    /** One case of a stage, which a test report shows by its name. */
    static final class Case {
        final Map<String, Object> values;

        Case(Map<String, Object> values) {
            this.values = values;
        }

        Object get(String name) {
            return values.get(name);
        }

        String text(String name) {
            return (String) values.get(name);
        }

        int whole(String name) {
            return ((Long) values.get(name)).intValue();
        }

        String file(String name) {
            return (String) table(values.get(name)).get("file");
        }

        int[] shape(String name) {
            return list(table(values.get(name)).get("shape")).stream()
                    .mapToInt(size -> ((Long) size).intValue())
                    .toArray();
        }

        List<String> alphabet() {
            return list(values.get("alphabet")).stream()
                    .map(String::valueOf)
                    .collect(Collectors.toList());
        }

        /** The first and the last of the steps to decode. */
        int[] steps() {
            return list(table(values.get("logits")).get("steps")).stream()
                    .mapToInt(step -> ((Long) step).intValue())
                    .toArray();
        }

        @Override
        public String toString() {
            return String.valueOf(values.getOrDefault("name", values.get("rate")));
        }
    }
}
