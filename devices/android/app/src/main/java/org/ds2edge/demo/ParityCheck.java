package org.ds2edge.demo;

import android.content.Context;
import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.ds2edge.InputException;
import org.ds2edge.Recognizer;
import org.ds2edge.Stream;
import org.json.JSONException;
import org.json.JSONObject;

/** Transcribes the clip that {@code ds2edge android} put into the app, and compares the texts. */
final class ParityCheck {
    private static final String CLIP = "parity.json";
    private static final String SAMPLES = "parity.i16"; // mono, little-endian

    private ParityCheck() {}

    /** One line for the screen. */
    static String run(Context context, Recognizer recognizer) {
        try {
            JSONObject clip =
                    new JSONObject(new String(read(context, CLIP), StandardCharsets.UTF_8));
            String expected = clip.getString("text");
            String text = transcribe(recognizer, read(context, SAMPLES), clip.getInt("rate"));
            return text.equals(expected)
                    ? context.getString(R.string.parity_same, text)
                    : context.getString(R.string.parity_different, expected, text);
        } catch (FileNotFoundException error) {
            return context.getString(R.string.parity_none);
        } catch (IOException | JSONException error) {
            throw new InputException(
                    CLIP + ": cannot be read: run `ds2edge android` again", error);
        }
    }

    private static String transcribe(Recognizer recognizer, byte[] bytes, int rate) {
        short[] samples = new short[bytes.length / Short.BYTES];
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asShortBuffer().get(samples);
        Stream stream = recognizer.stream();
        stream.accept(samples, 0, samples.length, rate);
        return stream.finish().text;
    }

    private static byte[] read(Context context, String asset) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        byte[] block = new byte[8192];
        try (InputStream stream = context.getAssets().open(asset)) {
            for (int count = stream.read(block); count >= 0; count = stream.read(block)) {
                bytes.write(block, 0, count);
            }
        }
        return bytes.toByteArray();
    }
}
