package org.ds2edge.android;

import android.content.Intent;
import android.os.Bundle;
import android.os.Handler;
import android.os.Looper;
import android.os.RemoteException;
import android.speech.RecognitionService;
import android.speech.RecognizerIntent;
import android.speech.SpeechRecognizer;
import java.util.ArrayList;
import java.util.Collections;
import org.ds2edge.InputException;
import org.ds2edge.Utterance;

/** One call of {@code startListening}: passes the first utterance to the client. */
final class RecognitionSession implements TranscriptionCallback {
    private static final long SPEECH_TIMEOUT_MS = 10000; // without a letter

    private final RecognitionService.Callback client;
    private final boolean wantsPartials;
    private final Handler main = new Handler(Looper.getMainLooper());
    private final Runnable timeout =
            new Runnable() {
                @Override
                public void run() {
                    answerError(SpeechRecognizer.ERROR_SPEECH_TIMEOUT);
                    stop();
                }
            };
    private Transcriber transcriber;
    private Ds2edgeRecognitionService service;
    private boolean speaking;
    private boolean answered; // the client gets one result or one error

    RecognitionSession(Intent intent, RecognitionService.Callback client) {
        this.client = client;
        wantsPartials = intent.getBooleanExtra(RecognizerIntent.EXTRA_PARTIAL_RESULTS, false);
    }

    void begin(Transcriber started, Ds2edgeRecognitionService owner) {
        transcriber = started;
        service = owner;
        main.postDelayed(timeout, SPEECH_TIMEOUT_MS);
        try {
            client.readyForSpeech(new Bundle());
        } catch (RemoteException gone) {
            cancel();
        }
    }

    boolean isRunning() {
        return transcriber != null && transcriber.isRunning();
    }

    void stop() {
        main.removeCallbacks(timeout);
        if (transcriber != null) {
            transcriber.stop();
        }
    }

    /** Ends without an answer. */
    void cancel() {
        answered = true;
        stop();
    }

    @Override
    public void onPartial(String text) {
        if (answered || text.isEmpty()) {
            return;
        }
        main.removeCallbacks(timeout);
        try {
            if (!speaking) {
                speaking = true;
                client.beginningOfSpeech();
            }
            if (wantsPartials) {
                client.partialResults(results(text));
            }
        } catch (RemoteException gone) {
            cancel();
        }
    }

    @Override
    public void onUtterance(Utterance utterance) {
        if (answered) {
            return;
        }
        answered = true;
        Bundle results = results(utterance.text);
        results.putFloatArray(
                SpeechRecognizer.CONFIDENCE_SCORES, new float[] {(float) utterance.confidence});
        try {
            client.endOfSpeech();
            client.results(results);
        } catch (RemoteException gone) {
            // Nobody is left to tell.
        }
        stop();
    }

    @Override
    public void onProgress(double level, double realTimeFactor) {
        try {
            if (!answered) {
                client.rmsChanged((float) level);
            }
        } catch (RemoteException gone) {
            cancel();
        }
    }

    @Override
    public void onStopped(InputException error) {
        main.removeCallbacks(timeout);
        answerError(
                error == null ? SpeechRecognizer.ERROR_NO_MATCH : SpeechRecognizer.ERROR_AUDIO);
        service.onSessionEnded();
    }

    private void answerError(int code) {
        if (answered) {
            return;
        }
        answered = true;
        try {
            client.error(code);
        } catch (RemoteException gone) {
            // Nobody is left to tell.
        }
    }

    private static Bundle results(String text) {
        Bundle results = new Bundle();
        results.putStringArrayList(
                SpeechRecognizer.RESULTS_RECOGNITION,
                new ArrayList<>(Collections.singletonList(text)));
        return results;
    }
}
