package org.ds2edge;

import java.io.Closeable;

/**
 * Speech to text: a model that is ready to transcribe.
 *
 * <p>Use a recognizer and its streams from one thread at a time. Its streams may be interleaved.
 */
public final class Recognizer implements Closeable {
    private final Specification specification;
    private final Engine engine;
    private Phrases phrases;

    /**
     * Takes the specification of a model file and an engine that has loaded the same file. Streams
     * listen for the phrases inside the file, if it has any.
     *
     * @throws InputException if the model is bidirectional: it cannot transcribe live sound, or if
     *     it cannot spell the phrases
     */
    public Recognizer(Specification specification, Engine engine) {
        specification.requireStreaming();
        this.specification = specification;
        this.engine = engine;
        setPhrases(specification.phrases);
    }

    /** Everything that the file says about its model. */
    public Specification specification() {
        return specification;
    }

    /**
     * Sets all that may be said in streams that begin from now on; null for free text.
     *
     * @throws InputException if the model cannot spell the phrases
     */
    public void setPhrases(Phrases phrases) {
        if (phrases != null) {
            phrases.graph(specification.alphabet);
        }
        this.phrases = phrases;
    }

    /** A new stream that returns one text for a whole recording. */
    public Stream stream() {
        return new Stream(specification, engine, decoder());
    }

    /** A new stream that cuts live sound into utterances. */
    public Listener listener(EndpointRules rules) {
        return new Listener(specification, engine, decoder(), rules);
    }

    /** Closes the engine. */
    @Override
    public void close() {
        engine.close();
    }

    private Decoder decoder() {
        return phrases == null
                ? new GreedyDecoder(specification.alphabet, specification.stepSeconds())
                : phrases.decoder(specification.alphabet, specification.stepSeconds());
    }
}
