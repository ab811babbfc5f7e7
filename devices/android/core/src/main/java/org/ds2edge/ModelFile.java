package org.ds2edge;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/**
 * A .tflite file: a flatbuffer, phrases if it has any, and a zip with the specification and a
 * checksum of all that comes before it. The phrases are a .ds2ph file, which is a zip too.
 */
final class ModelFile {
    private static final String MEMBER = "ds2edge.json";
    private static final String CHECKSUM = "ds2edge.crc32";
    private static final int MOST_BYTES = 1 << 22; // of a specification
    private static final int END_RECORD = 0x06054b50;
    private static final int END_RECORD_BYTES = 22;
    private static final int MOST_COMMENT_BYTES = 1 << 16;
    private static final int DIRECTORY_ENTRY_BYTES = 46;

    private ModelFile() {}

    /** The JSON text in a model file, whose flatbuffer is checked against the checksum. */
    static String specification(ByteBuffer file, String source) {
        ByteBuffer model = file.duplicate().order(ByteOrder.LITTLE_ENDIAN);
        int zip = startOfZip(model);
        Map<String, byte[]> members = null;
        if (zip >= 0) {
            byte[] rest = new byte[model.limit() - zip];
            model.position(zip);
            model.get(rest);
            members = unzip(new ByteArrayInputStream(rest), MOST_BYTES);
        }
        if (members == null || !members.containsKey(MEMBER)) {
            throw new InputException(
                    source + ": no ds2edge specification inside: "
                            + "the file is cut short or was not made by `ds2edge convert`");
        }
        byte[] checksum = members.get(CHECKSUM);
        if (checksum != null && !text(checksum).equals(checksum(file, zip))) {
            throw new InputException(source + ": is damaged: copy or convert the model again");
        }
        return text(members.get(MEMBER));
    }

    /** The .ds2ph file in a model file; null if it has none. */
    static byte[] phrases(ByteBuffer file) {
        ByteBuffer model = file.duplicate().order(ByteOrder.LITTLE_ENDIAN);
        int end = startOfZip(model);
        int last = end - END_RECORD_BYTES;
        if (last < model.position() || model.getInt(last) != END_RECORD) {
            return null;
        }
        long directory = model.getInt(last + 12) & 0xffffffffL;
        long start = last - directory - (model.getInt(last + 16) & 0xffffffffL);
        if (start < model.position()) {
            return null;
        }
        byte[] phrases = new byte[end - (int) start];
        model.position((int) start);
        model.get(phrases);
        return phrases;
    }

    /** The files of a zip by name; null if it is damaged or one has more than {@code mostBytes}. */
    static Map<String, byte[]> unzip(InputStream stream, int mostBytes) {
        Map<String, byte[]> members = new LinkedHashMap<>();
        byte[] block = new byte[8192];
        try (ZipInputStream zip = new ZipInputStream(stream)) {
            for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
                ByteArrayOutputStream bytes = new ByteArrayOutputStream();
                for (int length = zip.read(block); length >= 0; length = zip.read(block)) {
                    bytes.write(block, 0, length);
                    if (bytes.size() > mostBytes) {
                        return null;
                    }
                }
                members.put(entry.getName(), bytes.toByteArray());
            }
        } catch (IOException | IllegalArgumentException error) {
            return null;
        }
        return members;
    }

    static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }

    /** Where the first file of the zip begins, or -1: its directory, at the end, says it. */
    private static int startOfZip(ByteBuffer file) {
        int base = file.position();
        int last = file.limit() - END_RECORD_BYTES;
        int first = Math.max(base, last - MOST_COMMENT_BYTES);
        for (int at = last; at >= first; at--) {
            if (file.getInt(at) == END_RECORD) {
                long directory = base + (file.getInt(at + 16) & 0xffffffffL);
                if (directory + DIRECTORY_ENTRY_BYTES > at) {
                    return -1;
                }
                long start = base + (file.getInt((int) directory + 42) & 0xffffffffL);
                return start < directory ? (int) start : -1;
            }
        }
        return -1;
    }

    private static String checksum(ByteBuffer file, int end) {
        ByteBuffer flatbuffer = file.duplicate();
        flatbuffer.limit(end);
        CRC32 checksum = new CRC32();
        byte[] block = new byte[1 << 16];
        while (flatbuffer.hasRemaining()) {
            int length = Math.min(block.length, flatbuffer.remaining());
            flatbuffer.get(block, 0, length);
            checksum.update(block, 0, length);
        }
        return String.format(Locale.ROOT, "%08x", checksum.getValue());
    }
}
