package org.ds2edge.android;

import org.ds2edge.InputException;
import org.ds2edge.Utterance;

/** Receives what a {@link Transcriber} hears. All calls come on the main thread. */
public interface TranscriptionCallback {
    /** The text of the open utterance has changed. Its last word may still change. */
    void onPartial(String text);

    /** An utterance has ended. */
    void onUtterance(Utterance utterance);

    /**
     * The recording has ended, and all its utterances have been delivered.
     *
     * @param error why it ended; null after {@link Transcriber#stop}. Its message is a sentence for
     *     the user.
     */
    void onStopped(InputException error);

    /**
     * Comes about ten times a second.
     *
     * @param level of the last 0.1 s in dBFS: 0 for a full-scale square wave, -96 for silence
     * @param realTimeFactor seconds of computing per second of sound, since the start
     */
    default void onProgress(double level, double realTimeFactor) {}

    /** Recognition is too slow for the sound; {@code seconds} were dropped since the start. */
    default void onSoundLost(double seconds) {}

    /** Another app has taken the microphone, or given it back. Needs Android 10. */
    default void onSilenced(boolean silenced) {}
}
