package org.ds2edge.android;

import static org.junit.Assert.assertEquals;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Map;
import org.ds2edge.Engine;
import org.ds2edge.Recognizer;
import org.ds2edge.Specification;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * The first case of tests/golden/vectors/streams.json: sound, and what Python made of it. As an
 * engine, it gives the recorded logits for the recorded frames.
 */
final class Recorded implements Engine {
    private static final File PROJECT = new File(System.getProperty("project"));
    private static final File FOLDER = new File(PROJECT, "tests/golden/vectors");

    final short[] samples;
    final String text;
    private final Specification specification;
    private final byte[] frames;
    private final float[] logits;
    private final int chunks;
    private final float scale;
    private final int zeroPoint;
    private int chunk;

    Recorded() throws IOException, JSONException {
        byte[] json = Files.readAllBytes(new File(FOLDER, "streams.json").toPath());
        JSONObject streams = new JSONObject(new String(json, StandardCharsets.UTF_8));
        JSONObject first = streams.getJSONArray("cases").getJSONObject(0);
        ByteBuffer sound = bytes(streams.getString("samples"));
        samples = new short[sound.limit() / Short.BYTES];
        sound.asShortBuffer().get(samples);
        JSONArray words = first.getJSONArray("words");
        StringBuilder joined = new StringBuilder();
        for (int i = 0; i < words.length(); i++) {
            joined.append(i == 0 ? "" : " ").append(words.getJSONArray(i).getString(0));
        }
        text = joined.toString();
        specification = Specification.read(new File(PROJECT, first.getString("model")));
        frames = bytes(first.getJSONObject("frames").getString("file")).array();
        ByteBuffer values = bytes(first.getJSONObject("logits").getString("file"));
        logits = new float[values.limit() / Float.BYTES];
        values.asFloatBuffer().get(logits);
        chunks = first.getJSONObject("frames").getJSONArray("shape").getInt(0);
        scale = (float) first.getDouble("scale");
        zeroPoint = first.getInt("zero_point");
    }

    Recognizer recognizer() {
        return new Recognizer(specification, this);
    }

    @Override
    public void step(Map<String, float[]> inputs, Map<String, float[]> outputs) {
        float[] features = inputs.get("features");
        for (int i = 0; i < features.length; i++) {
            long rounded = Math.round((double) features[i] / scale) + zeroPoint;
            long value = Math.max(-128, Math.min(127, rounded));
            assertEquals(frames[chunk * features.length + i], value);
        }
        int size = logits.length / chunks;
        System.arraycopy(logits, chunk * size, outputs.get("logits"), 0, size);
        chunk++;
    }

    @Override
    public void close() {}

    private static ByteBuffer bytes(String name) throws IOException {
        byte[] bytes = Files.readAllBytes(new File(FOLDER, name).toPath());
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }
}
