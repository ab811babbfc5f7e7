package org.ds2edge;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Cuts the words of a decoder into utterances, step by step, in constant memory. */
final class Endpointer implements LogitsSink {
    private final Decoder decoder;
    private final EndpointRules rules;
    private List<Utterance> ended = new ArrayList<>();
    private double start; // of the open utterance, in seconds of the stream

    Endpointer(Decoder decoder, EndpointRules rules) {
        this.decoder = decoder;
        this.rules = rules;
    }

    @Override
    public void accept(float[] logits, int first, int count) {
        for (int row = first; row < first + count; row++) {
            decoder.accept(logits, row, 1);
            applyRules();
        }
    }

    /** The text of the open utterance. */
    String text() {
        return decoder.text();
    }

    /** Returns the utterances that ended since the last call. */
    List<Utterance> take() {
        if (ended.isEmpty()) {
            return Collections.emptyList();
        }
        List<Utterance> taken = ended;
        ended = new ArrayList<>();
        return taken;
    }

    /** Ends the open utterance too. */
    List<Utterance> takeLast() {
        end(decoder.take(true));
        return take();
    }

    private void applyRules() {
        double duration = decoder.seconds() - start;
        double blank = Math.min(decoder.blankSeconds(), duration);
        if (blank >= (decoder.isEmpty() ? rules.idle : rules.silence)) {
            end(decoder.take(true));
        } else if (duration >= rules.length) {
            List<Word> words = decoder.take(false);
            end(words.isEmpty() ? decoder.take(true) : words);
        }
    }

    private void end(List<Word> words) {
        if (!words.isEmpty()) {
            ended.add(new Utterance(words, decoder.seconds(), decoder.meaning(Decoder.join(words))));
        }
        List<Word> unfinished = decoder.words();
        start = unfinished.isEmpty() ? decoder.seconds() : unfinished.get(0).start;
    }
}
