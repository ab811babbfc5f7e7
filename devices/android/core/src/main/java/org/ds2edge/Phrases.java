package org.ds2edge;

import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Map;

/** All that may be said, as {@code ds2edge phrases compile} wrote it to a .ds2ph file. */
public final class Phrases {
    private static final int FORMAT = 1;
    private static final int MOST_BYTES = 1 << 27; // of one file inside

    private final String source;
    private final Grammar grammar;
    private final Letters letters;
    private final double minConfidence;
    private final double enoughLetters; // shorter phrases have less confidence
    private List<String> graphAlphabet;
    private PhraseGraph graph; // of the last alphabet

    private Phrases(
            String source,
            Grammar grammar,
            Letters letters,
            double minConfidence,
            double enoughLetters) {
        this.source = source;
        this.grammar = grammar;
        this.letters = letters;
        this.minConfidence = minConfidence;
        this.enoughLetters = enoughLetters;
    }

    /** Throws InputException if there is no such file or {@code ds2edge} did not make it. */
    public static Phrases read(File file) {
        try (InputStream stream = new FileInputStream(file)) {
            return read(stream, file.toString());
        } catch (IOException error) {
            throw new InputException(file + ": cannot be read (" + error.getMessage() + ")", error);
        }
    }

    /**
     * Reads a stream to its end.
     *
     * @param source name of the file, with which messages begin
     */
    public static Phrases read(InputStream stream, String source) {
        Map<String, byte[]> members = ModelFile.unzip(stream, MOST_BYTES);
        try {
            Fields content =
                    new Fields(Json.parse(ModelFile.text(members.get("phrases.json"))), source);
            if (content.integer("format") != FORMAT) {
                throw new InputException(
                        source + ": a newer ds2edge made these phrases:"
                                + " use a newer version of this library");
            }
            InputStream arrays = new ByteArrayInputStream(members.get("letters.npz"));
            Letters letters =
                    new Letters(content.text("labels"), ModelFile.unzip(arrays, MOST_BYTES));
            Grammar grammar = new Grammar(new Fields(content.get("grammar"), source));
            double minConfidence = content.number("min_confidence", 0);
            double enoughLetters = content.number("enough_letters", 0);
            return new Phrases(source, grammar, letters, minConfidence, enoughLetters);
        } catch (IllegalArgumentException | NullPointerException | ClassCastException error) {
            throw new InputException(
                    source + ": not made by `ds2edge phrases compile`, or cut short", error);
        }
    }

    /** The same phrases with another confidence, 0 to 1, below which they are rejected. */
    public Phrases withMinConfidence(double confidence) {
        return new Phrases(source, grammar, letters, confidence, enoughLetters);
    }

    /** What a text means; null if it is no phrase, or a phrase without an intent. */
    public Meaning meaning(String text) {
        Meaning meaning = text.isEmpty() ? null : grammar.match(text);
        return meaning == null || meaning.intent.isEmpty() ? null : meaning;
    }

    /** Throws InputException if the alphabet lacks a letter. */
    PhraseGraph graph(List<String> alphabet) {
        if (graph == null || !alphabet.equals(graphAlphabet)) {
            StringBuilder spelled = new StringBuilder(" ").append(Letters.ANYTHING);
            for (String symbol : alphabet) {
                spelled.append(symbol);
            }
            for (char letter : letters.labels.toCharArray()) {
                if (spelled.indexOf(String.valueOf(letter)) < 0) {
                    throw new InputException(
                            source + ": the model has no symbol for '" + letter
                                    + "': spell the phrases with other letters");
                }
            }
            graph = new GraphBuilder(letters, alphabet).build();
            graphAlphabet = alphabet;
        }
        return graph;
    }

    Decoder decoder(List<String> alphabet, double stepSeconds) {
        return new PhraseDecoder(
                graph(alphabet), alphabet, stepSeconds, minConfidence, enoughLetters, this);
    }
}
