package org.ds2edge.android;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;
import static org.robolectric.Shadows.shadowOf;

import android.Manifest;
import android.app.Application;
import android.media.AudioRecord;
import android.os.Looper;
import java.util.ArrayList;
import java.util.List;
import org.ds2edge.EndpointRules;
import org.ds2edge.InputException;
import org.ds2edge.Utterance;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.annotation.Config;

@RunWith(RobolectricTestRunner.class)
@Config(sdk = 35, manifest = Config.NONE)
public class TranscriberTest {
    private static final long PATIENCE_MS = 60000;

    private final Application application = RuntimeEnvironment.getApplication();
    private final Events events = new Events();
    private Recorded recorded;
    private Transcriber transcriber;

    @Before
    public void loadModel() throws Exception {
        shadowOf(application).grantPermissions(Manifest.permission.RECORD_AUDIO);
        recorded = new Recorded();
        transcriber =
                new Transcriber(application, recorded.recognizer(), EndpointRules.DEFAULT, events);
    }

    @Test
    public void hearsWhatPythonHears() throws Exception {
        int length = recorded.samples.length;
        RecordedMicrophone source = RecordedMicrophone.install(recorded.samples, length, 0);
        transcriber.start();
        source.awaitEnd();
        transcriber.stop();
        awaitStopped();
        assertNull(events.error);
        assertEquals(recorded.text, String.join(" ", events.utterances));
        assertFalse(events.partials.isEmpty());
        assertTrue(events.loudest > -40 && events.loudest < 0);
    }

    @Test
    public void keepsWhatWasSaidBeforeTheMicrophoneWasTakenAway() throws Exception {
        int length = recorded.samples.length;
        RecordedMicrophone.install(recorded.samples, length, AudioRecord.ERROR_DEAD_OBJECT);
        transcriber.start();
        awaitStopped();
        assertEquals(recorded.text, String.join(" ", events.utterances));
        assertEquals(
                "The microphone was taken away: connect it, then start again.",
                events.error.getMessage());
        assertFalse(transcriber.isRunning());
    }

    @Test
    public void reportsThatTheNetworkFails() throws Exception {
        short[] other = new short[recorded.samples.length]; // the recorded frames are not of this
        RecordedMicrophone source = RecordedMicrophone.install(other, other.length, 0);
        transcriber =
                new Transcriber(
                        application,
                        new org.ds2edge.Recognizer(
                                recorded.recognizer().specification(), new BrokenEngine()),
                        EndpointRules.DEFAULT,
                        events);
        transcriber.start();
        source.awaitEnd();
        awaitStopped();
        assertEquals("Recognition failed: start again.", events.error.getMessage());
    }

    @Test
    public void saysThatThePermissionIsMissing() {
        shadowOf(application).denyPermissions(Manifest.permission.RECORD_AUDIO);
        try {
            transcriber.start();
            fail("started without permission");
        } catch (InputException error) {
            assertEquals(
                    "This app may not use the microphone: allow it in the settings of the app.",
                    error.getMessage());
        }
        assertFalse(transcriber.isRunning());
    }

    private void awaitStopped() throws InterruptedException {
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (!events.stopped && System.currentTimeMillis() < deadline) {
            shadowOf(Looper.getMainLooper()).idle();
            Thread.sleep(1);
        }
        assertTrue("the recording did not end", events.stopped);
    }

    private static final class Events implements TranscriptionCallback {
        final List<String> utterances = new ArrayList<>();
        final List<String> partials = new ArrayList<>();
        double loudest = Double.NEGATIVE_INFINITY;
        InputException error;
        boolean stopped;

        @Override
        public void onPartial(String text) {
            partials.add(text);
        }

        @Override
        public void onUtterance(Utterance utterance) {
            utterances.add(utterance.text);
        }

        @Override
        public void onProgress(double level, double realTimeFactor) {
            loudest = Math.max(loudest, level);
        }

        @Override
        public void onStopped(InputException reason) {
            error = reason;
            stopped = true;
        }
    }

    private static final class BrokenEngine implements org.ds2edge.Engine {
        @Override
        public void step(
                java.util.Map<String, float[]> inputs, java.util.Map<String, float[]> outputs) {
            throw new IllegalStateException("the interpreter was closed");
        }

        @Override
        public void close() {}
    }
}
