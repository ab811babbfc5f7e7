package org.ds2edge.demo;

import android.app.Activity;
import android.content.pm.PackageManager;
import android.os.Bundle;
import android.view.View;
import android.widget.Button;
import android.widget.ProgressBar;
import android.widget.ScrollView;
import android.widget.TextView;
import org.ds2edge.EndpointRules;
import org.ds2edge.InputException;
import org.ds2edge.Phrases;
import org.ds2edge.Recognizer;
import org.ds2edge.Utterance;
import org.ds2edge.android.MicrophonePermission;
import org.ds2edge.android.ModelLoader;
import org.ds2edge.android.Transcriber;
import org.ds2edge.android.TranscriptionCallback;

/** Shows what the microphone hears, as text. */
public final class MainActivity extends Activity implements TranscriptionCallback {
    private static final String TRANSCRIPT = "transcript"; // in the saved state
    private static final int PERMISSION_REQUEST = 1;

    private TextView status;
    private ProgressBar level;
    private ScrollView scroll;
    private TextView transcript;
    private TextView partial;
    private TextView speed;
    private TextView lost;
    private Button button;
    private Recognizer recognizer; // null until it is loaded
    private Transcriber transcriber;
    private boolean destroyed;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.main);
        status = findViewById(R.id.status);
        level = findViewById(R.id.level);
        scroll = findViewById(R.id.scroll);
        transcript = findViewById(R.id.transcript);
        partial = findViewById(R.id.partial);
        speed = findViewById(R.id.speed);
        lost = findViewById(R.id.lost);
        button = findViewById(R.id.button);
        button.setOnClickListener(
                new View.OnClickListener() {
                    @Override
                    public void onClick(View view) {
                        startOrStop();
                    }
                });
        if (saved != null) {
            transcript.setText(saved.getCharSequence(TRANSCRIPT));
        }
        new Thread("ds2edge-loading") {
            @Override
            public void run() {
                load();
            }
        }.start();
    }

    @Override
    protected void onSaveInstanceState(Bundle state) {
        super.onSaveInstanceState(state);
        state.putCharSequence(TRANSCRIPT, transcript.getText());
    }

    @Override
    protected void onStop() {
        super.onStop();
        stop(); // Android gives the microphone to apps on the screen only
    }

    @Override
    protected void onDestroy() {
        super.onDestroy();
        destroyed = true;
        closeIfUnused();
    }

    @Override
    public void onRequestPermissionsResult(int code, String[] permissions, int[] results) {
        if (results.length > 0 && results[0] == PackageManager.PERMISSION_GRANTED) {
            start();
        } else {
            status.setText(R.string.no_permission);
        }
    }

    @Override
    public void onPartial(String text) {
        partial.setText(text);
        scroll.fullScroll(View.FOCUS_DOWN);
    }

    @Override
    public void onUtterance(Utterance utterance) {
        String line =
                utterance.meaning == null
                        ? utterance.text
                        : getString(R.string.meaning, utterance.text, utterance.meaning);
        transcript.append(line + "\n");
    }

    @Override
    public void onProgress(double decibels, double realTimeFactor) {
        level.setProgress(level.getMax() + (int) Math.max(decibels, -level.getMax()));
        speed.setText(getString(R.string.speed, realTimeFactor));
    }

    @Override
    public void onSoundLost(double seconds) {
        lost.setText(getString(R.string.lost, seconds));
        lost.setVisibility(View.VISIBLE);
    }

    @Override
    public void onSilenced(boolean silenced) {
        status.setText(silenced ? R.string.silenced : R.string.listening);
    }

    @Override
    public void onStopped(InputException error) {
        status.setText(error == null ? getString(R.string.ready) : error.getMessage());
        level.setProgress(0);
        partial.setText("");
        button.setText(R.string.start);
        button.setEnabled(true);
        closeIfUnused();
    }

    private void load() {
        String message = getString(R.string.ready);
        String parity = "";
        Recognizer loaded = null;
        try {
            loaded = ModelLoader.fromAsset(this, "model.tflite");
            Phrases phrases = ModelLoader.phrasesFromAsset(this, "phrases.ds2ph");
            if (phrases != null) {
                loaded.setPhrases(phrases); // they replace those inside the model
            }
            parity = ParityCheck.run(this, loaded);
        } catch (InputException error) {
            message = error.getMessage();
        }
        show(loaded, message, parity);
    }

    private void show(final Recognizer loaded, final String message, final String parity) {
        runOnUiThread(
                new Runnable() {
                    @Override
                    public void run() {
                        recognizer = loaded;
                        status.setText(message);
                        ((TextView) findViewById(R.id.parity)).setText(parity);
                        button.setEnabled(loaded != null);
                        closeIfUnused();
                    }
                });
    }

    private void startOrStop() {
        if (transcriber != null && transcriber.isRunning()) {
            stop();
        } else if (MicrophonePermission.isGranted(this)) {
            start();
        } else {
            MicrophonePermission.request(this, PERMISSION_REQUEST);
        }
    }

    private void start() {
        transcriber = new Transcriber(this, recognizer, EndpointRules.DEFAULT, this);
        try {
            transcriber.start();
        } catch (InputException error) {
            status.setText(error.getMessage());
            return;
        }
        lost.setVisibility(View.GONE);
        status.setText(R.string.listening);
        button.setText(R.string.stop);
    }

    private void stop() {
        if (transcriber != null && transcriber.isRunning()) {
            status.setText(R.string.finishing);
            button.setEnabled(false);
            transcriber.stop();
        }
    }

    private void closeIfUnused() {
        if (destroyed && recognizer != null && (transcriber == null || !transcriber.isRunning())) {
            recognizer.close();
            recognizer = null;
        }
    }
}
