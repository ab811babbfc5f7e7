package org.ds2edge;

/** When an utterance ends, in seconds. Whichever rule applies first ends it. */
public final class EndpointRules {
    /** 2.4, 1.2 and 20 s, as in the Python runtime. */
    public static final EndpointRules DEFAULT = new EndpointRules(2.4, 1.2, 20.0);

    /** Seconds without a letter, before the first word. */
    public final double idle;

    /** Seconds without a letter, after a word. */
    public final double silence;

    /** Seconds of the whole utterance; an open word goes to the next one. */
    public final double length;

    /** Throws InputException unless every rule is above 0. */
    public EndpointRules(double idle, double silence, double length) {
        this.idle = positive("idle", idle);
        this.silence = positive("silence", silence);
        this.length = positive("length", length);
    }

    private static double positive(String name, double seconds) {
        if (!(seconds > 0)) {
            throw new InputException(
                    "endpoint rule " + name + " must be above 0 s, not " + seconds);
        }
        return seconds;
    }
}
