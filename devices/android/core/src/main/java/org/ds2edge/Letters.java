package org.ds2edge;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** All phrases as one minimal automaton over letters. State 0 is the start. */
final class Letters {
    static final char ANYTHING = 0; // label of an arc for a wildcard

    final String labels; // of arcs: letters, the space, ANYTHING
    final int[] sources; // [arcs]
    final int[] labelIds; // [arcs], into `labels`
    final int[] targets; // [arcs]
    final float[] weights; // [arcs], log
    final float[] ends; // [states], log; -infinity where no phrase ends

    /** Reads arrays in numpy's format .npy, by the name of their file. */
    Letters(String labels, Map<String, byte[]> files) {
        this.labels = labels;
        sources = integers(array(files, "sources", "<i4"));
        targets = integers(array(files, "targets", "<i4"));
        weights = floats(array(files, "weights", "<f4"));
        ends = floats(array(files, "final", "<f4"));
        ByteBuffer bytes = array(files, "label_ids", "|u1");
        labelIds = new int[bytes.remaining()];
        for (int i = 0; i < labelIds.length; i++) {
            labelIds[i] = bytes.get() & 255;
        }
    }

    /** The values of an array. IllegalArgumentException if it has another type or is cut short. */
    private static ByteBuffer array(Map<String, byte[]> files, String name, String type) {
        byte[] file = files.get(name + ".npy");
        int headerBytes = (file[8] & 255) | (file[9] & 255) << 8;
        String header = new String(file, 10, headerBytes, StandardCharsets.ISO_8859_1);
        if (file[6] != 1 || !header.contains("'" + type + "'")) {
            throw new IllegalArgumentException(name + " is no array of type " + type);
        }
        int start = 10 + headerBytes;
        return ByteBuffer.wrap(file, start, file.length - start)
                .slice()
                .order(ByteOrder.LITTLE_ENDIAN);
    }

    private static int[] integers(ByteBuffer bytes) {
        int[] values = new int[bytes.remaining() / 4];
        bytes.asIntBuffer().get(values);
        return values;
    }

    private static float[] floats(ByteBuffer bytes) {
        float[] values = new float[bytes.remaining() / 4];
        bytes.asFloatBuffer().get(values);
        return values;
    }
}
