package org.ds2edge.android;

import android.content.Intent;
import android.os.Handler;
import android.os.Looper;
import android.os.RemoteException;
import android.speech.RecognitionService;
import android.speech.SpeechRecognizer;
import android.util.Log;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.ds2edge.EndpointRules;
import org.ds2edge.InputException;
import org.ds2edge.Phrases;
import org.ds2edge.Recognizer;

/**
 * Serves {@link SpeechRecognizer}: one utterance per call of {@code startListening}.
 *
 * <p>Declare the service in the manifest of the app. It takes the model {@code model.tflite} and, if
 * there are any, the phrases {@code phrases.ds2ph} from the assets. Override {@link #load} to take
 * others.
 */
public class Ds2edgeRecognitionService extends RecognitionService {
    private static final String TAG = "ds2edge";

    private final ExecutorService loading = Executors.newSingleThreadExecutor();
    private final Handler main = new Handler(Looper.getMainLooper());
    private Recognizer recognizer; // loaded with the first call
    private RecognitionSession session; // null when idle
    private boolean destroyed;

    /** Loads the model, outside the main thread. Throws InputException if it cannot be used. */
    protected Recognizer load() {
        Recognizer loaded = ModelLoader.fromAsset(this, "model.tflite");
        Phrases phrases = ModelLoader.phrasesFromAsset(this, "phrases.ds2ph");
        if (phrases != null) {
            loaded.setPhrases(phrases); // they replace those inside the model
        }
        return loaded;
    }

    @Override
    protected void onStartListening(final Intent intent, final Callback client) {
        if (session != null && session.isRunning()) {
            fail(client, SpeechRecognizer.ERROR_RECOGNIZER_BUSY, "another app is listening");
        } else if (!MicrophonePermission.isGranted(this)) {
            fail(
                    client,
                    SpeechRecognizer.ERROR_INSUFFICIENT_PERMISSIONS,
                    "this app may not use the microphone");
        } else if (recognizer != null) {
            begin(intent, client);
        } else {
            loading.execute(
                    new Runnable() {
                        @Override
                        public void run() {
                            loadAndBegin(intent, client);
                        }
                    });
        }
    }

    @Override
    protected void onStopListening(Callback client) {
        if (session != null) {
            session.stop();
        }
    }

    @Override
    protected void onCancel(Callback client) {
        if (session != null) {
            session.cancel();
        }
    }

    @Override
    public void onDestroy() {
        destroyed = true;
        loading.shutdown();
        if (session != null && session.isRunning()) {
            session.cancel(); // its last act closes the recognizer
        } else {
            closeRecognizer();
        }
        super.onDestroy();
    }

    private void loadAndBegin(final Intent intent, final Callback client) {
        try {
            final Recognizer loaded = load();
            main.post(
                    new Runnable() {
                        @Override
                        public void run() {
                            recognizer = loaded;
                            if (destroyed) {
                                closeRecognizer();
                            } else {
                                begin(intent, client);
                            }
                        }
                    });
        } catch (InputException error) {
            fail(client, SpeechRecognizer.ERROR_CLIENT, error.getMessage());
        }
    }

    private void begin(Intent intent, Callback client) {
        session = new RecognitionSession(intent, client);
        Transcriber transcriber =
                new Transcriber(this, recognizer, EndpointRules.DEFAULT, session);
        try {
            transcriber.start();
            session.begin(transcriber, this);
        } catch (InputException error) {
            session = null;
            fail(client, SpeechRecognizer.ERROR_AUDIO, error.getMessage());
        }
    }

    /** The session has ended and its threads too. */
    void onSessionEnded() {
        session = null;
        if (destroyed) {
            closeRecognizer();
        }
    }

    private void closeRecognizer() {
        if (recognizer != null) {
            recognizer.close();
            recognizer = null;
        }
    }

    private static void fail(Callback client, int code, String reason) {
        Log.w(TAG, reason);
        try {
            client.error(code);
        } catch (RemoteException gone) {
            Log.w(TAG, "the client has gone");
        }
    }
}
