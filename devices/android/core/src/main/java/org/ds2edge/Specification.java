package org.ds2edge;

import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Everything that must be known to run a model. It is kept as JSON inside the .tflite file. */
public final class Specification {
    private static final int FORMAT = 1;

    /** Where the model came from; messages begin with it. */
    public final String source;

    public final String name;

    /** The symbol of each logit. Symbol 0 is the blank, "". A symbol may have several letters. */
    public final List<String> alphabet;

    public final FeatureSettings features;

    /** float32, float16, dynamic, int8 or armv7. */
    public final String mode;

    /** Output steps per run of the graph. */
    public final int chunkSteps;

    /** Feature frames per output step. */
    public final int timeStride;

    /** Steps of silence to feed before the first sample; their outputs are dropped. */
    public final int warmup;

    /** Output delay in steps. */
    public final int lookahead;
    /** Steps that attention sees as a whole: the padded stream has a multiple of this many. */
    public final int attentionChunk;

    public final List<State> states;

    /** Facts for people: data, licence, hours, word error rate. */
    public final Map<String, Object> training;

    /** The phrases inside the model file; null if it has none. */
    public final Phrases phrases;

    final double[] mean;
    final double[] std;
    private final boolean bidirectional;

    private Specification(Map<?, ?> values, String source, Phrases phrases) {
        this.source = source;
        this.phrases = phrases;
        Fields fields = new Fields(values, source);
        if (fields.integer("format", FORMAT) > FORMAT) {
            throw new InputException(
                    source + ": a newer ds2edge made this model: use a newer version of this library");
        }
        name = fields.text("name");
        alphabet = Collections.unmodifiableList(fields.texts("alphabet"));
        features = new FeatureSettings(new Fields(fields.get("features"), source + ": features"));
        mean = fields.numbers("mean");
        std = fields.numbers("deviation");
        training = table(values.get("training"));
        if (!fields.has("graph")) {
            throw new InputException(
                    source + ": the specification inside describes no graph: convert the run again");
        }
        Fields graph = new Fields(fields.get("graph"), source + ": graph");
        mode = graph.text("mode");
        chunkSteps = graph.integer("chunk_steps");
        timeStride = graph.integer("time_stride");
        warmup = graph.integer("warmup");
        lookahead = graph.integer("lookahead");
        attentionChunk = graph.integer("attention_chunk", 1);
        bidirectional = graph.has("layers") && !graph.list("layers").isEmpty();
        List<State> read = new ArrayList<>();
        for (Object state : graph.list("states")) {
            Fields one = new Fields(state, source + ": state");
            read.add(new State(one.text("name"), one.integers("shape")));
        }
        states = Collections.unmodifiableList(read);
        check();
    }

    /**
     * Reads the specification and the phrases in a model file, and checks that it is undamaged.
     *
     * @throws InputException if there is no file, no specification in it, if it is damaged, or if a
     *     newer version made it
     */
    public static Specification read(File file) {
        if (!file.isFile()) {
            throw new InputException(file + ": no such model file");
        }
        try (RandomAccessFile access = new RandomAccessFile(file, "r")) {
            ByteBuffer model = access.getChannel().map(FileChannel.MapMode.READ_ONLY, 0, access.length());
            return read(model, file.toString());
        } catch (IOException error) {
            throw new InputException(file + ": cannot be read (" + error.getMessage() + ")", error);
        }
    }

    /**
     * Reads what is in a model that is in memory or mapped, such as an Android asset.
     *
     * @param model the whole file, from position to limit; both stay as they are
     * @param source name of the model, with which messages begin
     */
    public static Specification read(ByteBuffer model, String source) {
        String json = ModelFile.specification(model, source);
        byte[] inside = ModelFile.phrases(model);
        Phrases phrases =
                inside == null
                        ? null
                        : Phrases.read(
                                new ByteArrayInputStream(inside), source + ": phrases inside");
        try {
            return of(Json.parse(json), source, phrases);
        } catch (IllegalArgumentException error) {
            throw new InputException(
                    source + ": the specification is not JSON (" + error.getMessage() + ")", error);
        }
    }

    /** Builds a specification from the parsed JSON. */
    private static Specification of(Object json, String source, Phrases phrases) {
        new Fields(json, source);
        return new Specification((Map<?, ?>) json, source, phrases);
    }

    /** Feature frames per run of the graph. */
    public int chunkFrames() {
        return chunkSteps * timeStride;
    }

    /** Seconds of sound per output step. */
    public double stepSeconds() {
        return (double) (timeStride * features.hop) / features.sampleRate;
    }

    /** Zeros to feed before the first sample. */
    int samplesBefore() {
        return warmup * timeStride * features.hop;
    }

    /**
     * Zeros to feed after the last of {@code samples}.
     *
     * <p>The padded clip makes whole output steps: at least one, as many as it takes to cover the
     * last sample, then {@code lookahead} more, and then as many as fill the last chunk of attention.
     */
    long samplesAfter(long samples) {
        long frames = 1 + Math.max(0, -Math.floorDiv(-(samples - features.window), features.hop));
        long steps = -Math.floorDiv(-frames, timeStride) + lookahead;
        steps += Math.floorMod(-(warmup + steps), (long) attentionChunk);
        return (steps * timeStride - 1) * features.hop + features.window - samples;
    }

    void requireStreaming() {
        if (bidirectional) {
            throw new InputException(
                    source + ": a bidirectional model needs whole clips and cannot transcribe live:"
                            + " train and convert a model with direction = \"forward\"");
        }
    }

    private void check() {
        if (alphabet.isEmpty() || !alphabet.get(0).isEmpty()) {
            throw new InputException(source + ": the alphabet must begin with the blank ''");
        }
        if (mean.length != features.bins() || std.length != features.bins()) {
            throw new InputException(
                    source + ": " + mean.length + " means and " + std.length
                            + " standard deviations for " + features.bins() + " bins");
        }
        if (chunkSteps < 1 || timeStride < 1 || attentionChunk < 1 || warmup < 0 || lookahead < 0) {
            throw new InputException(source + ": the graph has impossible numbers of steps");
        }
    }

    private static Map<String, Object> table(Object values) {
        Map<String, Object> table = new LinkedHashMap<>();
        if (values instanceof Map) {
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) values).entrySet()) {
                table.put(String.valueOf(entry.getKey()), entry.getValue());
            }
        }
        return Collections.unmodifiableMap(table);
    }
}
