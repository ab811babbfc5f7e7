package org.ds2edge;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
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
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What can be read, and the one sentence for what cannot. */
class InputTest {
    private static final byte[] MODEL = read("tests/golden/mini.tflite");

    @TempDir File folder;

    @Test
    void readsTheSpecification() {
        Specification found = Specification.read(new File(Vectors.PROJECT, "tests/golden/mini.tflite"));
        assertEquals("mini", found.name);
        assertEquals(29, found.alphabet.size());
        assertEquals(64, found.features.bins());
        assertEquals(64, found.chunkFrames());
        assertEquals(0.04, found.stepSeconds());
        assertEquals(Arrays.asList(1, 3, 64, 1), box(found.states.get(0).shape()));
        assertEquals("conv0_next", found.states.get(0).output);
    }

    @Test
    void readsAModelInTheMiddleOfABuffer() {
        ByteBuffer apk = ByteBuffer.allocateDirect(MODEL.length + 3000);
        apk.position(1000);
        apk.put(MODEL);
        apk.position(1000).limit(1000 + MODEL.length);
        assertEquals("mini", Specification.read(apk, "asset").name);
        assertEquals(1000, apk.position());
    }

    @Test
    void namesAFileThatIsMissing() {
        File missing = new File(folder, "nosuch.tflite");
        assertFails(missing + ": no such model file", () -> Specification.read(missing));
    }

    @Test
    void namesAFileThatIsNoModel() {
        String reason = ": no ds2edge specification inside: the file is cut short or was not made by"
                + " `ds2edge convert`";
        assertFails("x" + reason, () -> of(new byte[0]));
        assertFails("x" + reason, () -> of("no model".getBytes(StandardCharsets.UTF_8)));
        byte[] noise = new byte[100_000];
        new Random(3).nextBytes(noise);
        assertFails("x" + reason, () -> of(noise));
        for (int length : new int[] {30, MODEL.length / 2, MODEL.length - 30, MODEL.length - 1}) {
            assertFails("x" + reason, () -> of(Arrays.copyOf(MODEL, length)));
        }
    }

    @Test
    void findsDamage() {
        byte[] damaged = MODEL.clone();
        damaged[1234] ^= 1;
        assertFails("x: is damaged: copy or convert the model again", () -> of(damaged));
    }

    @Test
    void onlyEverThrowsInputException() {
        Random random = new Random(4);
        int zip = 600_000; // before the zip, after most of the flatbuffer
        for (int i = 0; i < 300; i++) {
            byte[] damaged = MODEL.clone();
            damaged[zip + random.nextInt(MODEL.length - zip)] ^= 1 << random.nextInt(8);
            try {
                of(damaged);
            } catch (InputException expected) {
                assertTrue(expected.getMessage().startsWith("x"), expected.getMessage());
            }
        }
    }

    @Test
    void refusesANewerVersion() throws IOException {
        byte[] newer = withJson("\"format\": 1", "\"format\": 2");
        assertFails(
                "x: a newer ds2edge made this model: use a newer version of this library",
                () -> of(newer));
        byte[] setting = withJson("\"hop\":", "\"new_setting\": 3, \"hop\":");
        assertFails(
                "x: features: unknown setting 'new_setting': a newer ds2edge made this model:"
                        + " use a newer version of this library",
                () -> of(setting));
    }

    @Test
    void refusesABidirectionalModel() throws IOException {
        Specification model = of(withJson("\"layers\": []", "\"layers\": [\"gru0\"]"));
        assertFails(
                "x: a bidirectional model needs whole clips and cannot transcribe live: train and"
                        + " convert a model with direction = \"forward\"",
                () -> new Recognizer(model, new NoEngine()));
    }

    @Test
    void namesAFieldThatIsWrong() throws IOException {
        byte[] wrong = withJson("\"chunk_steps\": 16", "\"chunk_steps\": \"16\"");
        assertFails("x: graph: chunk_steps: expected a whole number, got 16", () -> of(wrong));
        byte[] missing = withJson("\"chunk_steps\": 16,", "");
        assertFails("x: graph: 'chunk_steps' is missing", () -> of(missing));
        byte[] broken = withJson("\"chunk_steps\": 16,", "\"chunk_steps\": }");
        assertTrue(
                assertThrows(InputException.class, () -> of(broken))
                        .getMessage()
                        .startsWith("x: the specification is not JSON (no value at character "));
    }

    @Test
    void refusesARateAndGoesOn() {
        Recognizer recognizer = new Recognizer(of(MODEL), new NoEngine());
        Stream stream = recognizer.stream();
        short[] sound = new short[16000];
        stream.accept(sound, 0, 1000, 16000);
        for (int rate : new int[] {0, -1, 7999, 192001}) {
            assertFails(
                    "a sample rate of " + rate + " Hz cannot be used: record at 8000 to 192000 Hz,"
                            + " best at 16000 Hz",
                    () -> stream.accept(sound, 0, 1000, rate));
        }
        stream.accept(sound, 0, 1000, 8000);
        stream.accept(sound, 0, 12000, 192000);
        assertEquals(1000 / 16000.0 + 1000 / 8000.0 + 12000 / 192000.0, stream.finish().duration);
        assertThrows(IllegalStateException.class, () -> stream.accept(sound, 0, 1, 16000));
    }

    @Test
    void takesNothingForAnEmptyRecording() {
        Stream stream = new Recognizer(of(MODEL), new NoEngine()).stream();
        assertEquals("", stream.finish().text);
        assertEquals(0.0, stream.finish().duration);
    }

    @Test
    void refusesPhrasesThatItCannotUse() {
        String reason = "p: not made by `ds2edge phrases compile`, or cut short";
        byte[] phrases = Vectors.bytes("house.ds2ph");
        assertFails(reason, () -> Phrases.read(new ByteArrayInputStream(new byte[0]), "p"));
        assertFails(reason, () -> Phrases.read(new ByteArrayInputStream(MODEL), "p"));
        for (int length : new int[] {100, 700}) {
            byte[] cut = Arrays.copyOf(phrases, length);
            assertFails(reason, () -> Phrases.read(new ByteArrayInputStream(cut), "p"));
        }
        Phrases house = Phrases.read(new ByteArrayInputStream(phrases), "p");
        assertFails(
                "p: the model has no symbol for 'c': spell the phrases with other letters",
                () -> house.graph(Arrays.asList("", " ", "a", "b")));
        File missing = new File(folder, "nosuch.ds2ph");
        assertTrue(
                assertThrows(InputException.class, () -> Phrases.read(missing))
                        .getMessage()
                        .startsWith(missing + ": cannot be read ("));
    }

    @Test
    void readsThePhrasesInsideAModel() throws IOException {
        byte[] model = Vectors.bytes("inside.tflite");
        byte[] house = Vectors.bytes("house.ds2ph");
        assertArrayEquals(house, ModelFile.phrases(ByteBuffer.wrap(model)));
        ByteBuffer apk = ByteBuffer.allocateDirect(model.length + 3000);
        apk.position(1000);
        apk.put(model);
        apk.position(1000).limit(1000 + model.length);
        Phrases inside = Specification.read(apk, "asset").phrases;
        assertEquals("Volume", inside.meaning("turn down the radio").intent);
        assertNull(of(MODEL).phrases);
    }

    @Test
    void refusesPhrasesInsideThatItCannotUse() throws IOException {
        byte[] damaged = Vectors.bytes("inside.tflite");
        damaged[1100] ^= 1;
        assertFails("x: is damaged: copy or convert the model again", () -> of(damaged));
        ByteArrayOutputStream other = new ByteArrayOutputStream();
        try (ZipOutputStream stream = new ZipOutputStream(other)) {
            put(stream, "phrases.json", "{\"format\": 2}");
        }
        byte[] newer = withJson("mini", "mini", other.toByteArray());
        assertFails(
                "x: phrases inside: a newer ds2edge made these phrases:"
                        + " use a newer version of this library",
                () -> of(newer));
    }

    @Test
    void refusesImpossibleRules() {
        assertFails(
                "endpoint rule silence must be above 0 s, not 0.0",
                () -> new EndpointRules(1.0, 0.0, 1.0));
    }

    @Test
    void readsJson() {
        Object value = Json.parse(" {\"a\": [1, -2.5e1, true, null, \"\\u00e9\\n\\\"\"], \"b\": {}} ");
        assertEquals("{a=[1, -25.0, true, null, \u00e9\n\"], b={}}", value.toString());
        for (String wrong :
                new String[] {"", "{", "[1,]", "{\"a\" 1}", "tru", "1 2", "\"a", "\"\\x\"", "-", "{1: 2}"}) {
            assertThrows(IllegalArgumentException.class, () -> Json.parse(wrong), wrong);
        }
        StringBuilder deep = new StringBuilder();
        for (int i = 0; i < 100_000; i++) {
            deep.append('[');
        }
        assertThrows(IllegalArgumentException.class, () -> Json.parse(deep.toString()));
    }

    private static void assertFails(String message, Runnable action) {
        assertEquals(message, assertThrows(InputException.class, action::run).getMessage());
    }

    private static Specification of(byte[] model) {
        return Specification.read(ByteBuffer.wrap(model), "x");
    }

    /** A file with another specification and the right checksum. */
    private static byte[] withJson(String old, String replacement) throws IOException {
        return withJson(old, replacement, new byte[] {1, 2, 3});
    }

    /** The same, with other bytes in front of the zip. */
    private static byte[] withJson(String old, String replacement, byte[] flatbuffer)
            throws IOException {
        String json = ModelFile.specification(ByteBuffer.wrap(MODEL), "x");
        assertTrue(json.contains(old), old);
        CRC32 checksum = new CRC32();
        checksum.update(flatbuffer);
        ByteArrayOutputStream zip = new ByteArrayOutputStream();
        try (ZipOutputStream stream = new ZipOutputStream(zip)) {
            put(stream, "ds2edge.json", json.replace(old, replacement));
            put(stream, "ds2edge.crc32", String.format(Locale.ROOT, "%08x", checksum.getValue()));
        }
        byte[] bytes = zip.toByteArray();
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        file.write(flatbuffer);
        file.write(bytes);
        return shifted(file.toByteArray(), flatbuffer.length);
    }

    private static void put(ZipOutputStream zip, String name, String text) throws IOException {
        zip.putNextEntry(new ZipEntry(name));
        zip.write(text.getBytes(StandardCharsets.UTF_8));
        zip.closeEntry();
    }

    /** Corrects the offsets of a zip that something was put before, as Python writes them. */
    private static byte[] shifted(byte[] file, int bytes) {
        ByteBuffer buffer = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
        int end = file.length - 22;
        int directory = buffer.getInt(end + 16) + bytes;
        buffer.putInt(end + 16, directory);
        for (int at = directory; at < end; ) {
            buffer.putInt(at + 42, buffer.getInt(at + 42) + bytes);
            at += 46 + buffer.getShort(at + 28) + buffer.getShort(at + 30) + buffer.getShort(at + 32);
        }
        return file;
    }

    private static List<Integer> box(int[] values) {
        List<Integer> boxed = new ArrayList<>();
        for (int value : values) {
            boxed.add(value);
        }
        return boxed;
    }

    private static byte[] read(String path) {
        try {
            return Files.readAllBytes(new File(Vectors.PROJECT, path).toPath());
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    /** A network that outputs zeros. */
    private static final class NoEngine implements Engine {
        @Override
        public void step(Map<String, float[]> inputs, Map<String, float[]> outputs) {}

        @Override
        public void close() {}
    }
}
