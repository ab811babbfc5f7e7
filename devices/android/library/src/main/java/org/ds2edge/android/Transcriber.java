package org.ds2edge.android;

import android.content.Context;
import android.os.Handler;
import android.os.Looper;
import java.util.List;
import org.ds2edge.EndpointRules;
import org.ds2edge.InputException;
import org.ds2edge.Listener;
import org.ds2edge.Recognizer;
import org.ds2edge.Utterance;

/**
 * Transcribes the microphone, live.
 *
 * <p>One thread reads the microphone, another recognises. Call the methods from the main thread.
 */
public final class Transcriber {
    private static final double SILENCE = -96; // dBFS, one bit of 16

    private final Context context;
    private final Recognizer recognizer;
    private final EndpointRules rules;
    private final TranscriptionCallback callback;
    private final Handler main = new Handler(Looper.getMainLooper());
    private Microphone microphone; // null when idle

    /** Nothing else may use the recognizer between {@link #start} and the end of the recording. */
    public Transcriber(
            Context context,
            Recognizer recognizer,
            EndpointRules rules,
            TranscriptionCallback callback) {
        this.context = context.getApplicationContext();
        this.recognizer = recognizer;
        this.rules = rules;
        this.callback = callback;
    }

    /** Whether a recording goes on or its last words are still being recognised. */
    public boolean isRunning() {
        return microphone != null;
    }

    /**
     * Starts a recording.
     *
     * @throws InputException without the permission to record, or if there is no microphone
     */
    public void start() {
        if (isRunning()) {
            throw new IllegalStateException("a recording goes on already");
        }
        final Listener listener = recognizer.listener(rules);
        final Microphone opened =
                new Microphone(
                        context,
                        recognizer.specification().features.sampleRate,
                        new Microphone.SilenceListener() {
                            @Override
                            public void onSilenced(final boolean silenced) {
                                main.post(
                                        new Runnable() {
                                            @Override
                                            public void run() {
                                                callback.onSilenced(silenced);
                                            }
                                        });
                            }
                        });
        opened.start();
        microphone = opened;
        new Thread("ds2edge-recognizer") {
            @Override
            public void run() {
                recognise(opened, listener);
            }
        }.start();
    }

    /** Ends the recording. What was said is still recognised and delivered. */
    public void stop() {
        if (microphone != null) {
            microphone.stop();
        }
    }

    private void recognise(Microphone source, Listener listener) {
        InputException error;
        try {
            followTo(source, listener);
            deliver(listener.finish(), "");
            error = source.error();
        } catch (RuntimeException failure) {
            source.stop();
            error =
                    failure instanceof InputException
                            ? (InputException) failure
                            : new InputException("Recognition failed: start again.", failure);
        }
        final InputException reason = error;
        main.post(
                new Runnable() {
                    @Override
                    public void run() {
                        microphone = null;
                        callback.onStopped(reason);
                    }
                });
    }

    /** Recognises until the microphone ends. */
    private void followTo(Microphone source, Listener listener) {
        double sound = 0; // seconds
        double computing = 0;
        long dropped = 0;
        String shown = "";
        for (short[] block = take(source); block != null; block = take(source)) {
            long start = System.nanoTime();
            List<Utterance> ended = listener.accept(block, 0, block.length, source.rate());
            computing += (System.nanoTime() - start) / 1e9;
            sound += (double) block.length / source.rate();
            String partial = listener.partial();
            if (!ended.isEmpty() || !partial.equals(shown)) {
                deliver(ended, partial);
                shown = partial;
            }
            long nowDropped = source.queue().dropped();
            report(level(block), computing / sound, nowDropped - dropped, nowDropped, source);
            dropped = nowDropped;
        }
    }

    private static short[] take(Microphone source) {
        try {
            return source.queue().take();
        } catch (InterruptedException error) {
            source.stop();
            return null;
        }
    }

    private void deliver(final List<Utterance> utterances, final String partial) {
        main.post(
                new Runnable() {
                    @Override
                    public void run() {
                        for (Utterance utterance : utterances) {
                            callback.onUtterance(utterance);
                        }
                        callback.onPartial(partial);
                    }
                });
    }

    private void report(
            final double level,
            final double realTimeFactor,
            final long newlyDropped,
            long dropped,
            Microphone source) {
        final double lost = (double) dropped / source.rate();
        main.post(
                new Runnable() {
                    @Override
                    public void run() {
                        callback.onProgress(level, realTimeFactor);
                        if (newlyDropped > 0) {
                            callback.onSoundLost(lost);
                        }
                    }
                });
    }

    private static double level(short[] block) {
        double energy = 0;
        for (short sample : block) {
            energy += (double) sample * sample;
        }
        double mean = energy / block.length / (32768.0 * 32768.0);
        return Math.max(SILENCE, 10 * Math.log10(Math.max(mean, 1e-12)));
    }
}
