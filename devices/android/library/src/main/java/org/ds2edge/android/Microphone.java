package org.ds2edge.android;

import android.annotation.TargetApi;
import android.content.Context;
import android.media.AudioFormat;
import android.media.AudioManager;
import android.media.AudioRecord;
import android.media.AudioRecordingConfiguration;
import android.media.MediaRecorder;
import android.os.Build;
import android.os.Process;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Executor;
import org.ds2edge.InputException;

/** Reads the microphone on a thread of its own. */
final class Microphone {
    private static final int[] OTHER_RATES = {48000, 44100};
    private static final int BLOCKS_PER_SECOND = 10;
    private static final int BUFFER_SECONDS = 2; // in the system
    private static final int QUEUE_SECONDS = 30; // as in the Python runtime

    /** Learns that another app takes the microphone. */
    interface SilenceListener {
        void onSilenced(boolean silenced);
    }

    private final AudioRecord record;
    private final AudioManager manager;
    private final SoundQueue queue;
    private final SilenceListener silenceListener;
    private volatile boolean stopping;
    private volatile InputException error;

    /**
     * Opens the microphone at {@code rate} Hz, or another rate if the device does not have that.
     *
     * @throws InputException without permission or if no microphone can be opened
     */
    Microphone(Context context, int rate, SilenceListener silenceListener) {
        if (!MicrophonePermission.isGranted(context)) {
            throw new InputException(
                    "This app may not use the microphone: allow it in the settings of the app.");
        }
        this.silenceListener = silenceListener;
        manager = (AudioManager) context.getSystemService(Context.AUDIO_SERVICE);
        record = open(rate);
        queue = new SoundQueue(QUEUE_SECONDS * record.getSampleRate());
    }

    int rate() {
        return record.getSampleRate();
    }

    /** The sound. It ends after {@link #stop} or when the microphone fails. */
    SoundQueue queue() {
        return queue;
    }

    /** Why the sound has ended; null after {@link #stop}. */
    InputException error() {
        return error;
    }

    /** Starts to record. Throws InputException if another app holds the microphone. */
    @SuppressWarnings("deprecation") // its successor needs Android 8
    void start() {
        // Music and videos pause, so that the microphone does not hear them.
        manager.requestAudioFocus(
                null, AudioManager.STREAM_MUSIC, AudioManager.AUDIOFOCUS_GAIN_TRANSIENT_EXCLUSIVE);
        try {
            record.startRecording();
        } catch (IllegalStateException failure) {
            // The state below says the same.
        }
        if (record.getRecordingState() != AudioRecord.RECORDSTATE_RECORDING) {
            release();
            throw new InputException(
                    "The microphone is in use by another app: end the call or the recording there.");
        }
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) {
            SilenceWatch.register(record, silenceListener);
        }
        new Thread("ds2edge-microphone") {
            @Override
            public void run() {
                Process.setThreadPriority(Process.THREAD_PRIORITY_URGENT_AUDIO);
                readToEnd();
            }
        }.start();
    }

    /** Ends the recording. The queue keeps what was recorded. */
    void stop() {
        stopping = true;
    }

    private void readToEnd() {
        short[] block = new short[record.getSampleRate() / BLOCKS_PER_SECOND];
        while (!stopping) {
            int count = record.read(block, 0, block.length);
            if (count < 0) {
                error = failure(count);
                break;
            }
            if (count > 0) {
                queue.put(Arrays.copyOf(block, count));
            }
        }
        release();
        queue.end();
    }

    @SuppressWarnings("deprecation") // its successor needs Android 8
    private void release() {
        record.release();
        manager.abandonAudioFocus(null);
    }

    private static AudioRecord open(int rate) {
        int[] rates = Arrays.copyOf(OTHER_RATES, OTHER_RATES.length + 1);
        System.arraycopy(OTHER_RATES, 0, rates, 1, OTHER_RATES.length);
        rates[0] = rate;
        for (int candidate : rates) {
            int least =
                    AudioRecord.getMinBufferSize(
                            candidate, AudioFormat.CHANNEL_IN_MONO, AudioFormat.ENCODING_PCM_16BIT);
            if (least <= 0) {
                continue;
            }
            AudioRecord record =
                    new AudioRecord(
                            MediaRecorder.AudioSource.VOICE_RECOGNITION,
                            candidate,
                            AudioFormat.CHANNEL_IN_MONO,
                            AudioFormat.ENCODING_PCM_16BIT,
                            Math.max(least, BUFFER_SECONDS * candidate * Short.BYTES));
            if (record.getState() == AudioRecord.STATE_INITIALIZED) {
                return record;
            }
            record.release();
        }
        throw new InputException(
                "No microphone can be opened: connect one, or switch microphone access on.");
    }

    private static InputException failure(int code) {
        return new InputException(
                code == AudioRecord.ERROR_DEAD_OBJECT
                        ? "The microphone was taken away: connect it, then start again."
                        : "The microphone failed (error " + code + "): start again.");
    }

    /** A class of its own, as Android 9 and older lack its superclass. */
    @TargetApi(Build.VERSION_CODES.Q)
    private static final class SilenceWatch extends AudioManager.AudioRecordingCallback {
        private final SilenceListener listener;
        private boolean silenced;

        SilenceWatch(SilenceListener listener) {
            this.listener = listener;
        }

        static void register(AudioRecord record, SilenceListener listener) {
            Executor here =
                    new Executor() {
                        @Override
                        public void execute(Runnable task) {
                            task.run();
                        }
                    };
            record.registerAudioRecordingCallback(here, new SilenceWatch(listener));
        }

        @Override
        public void onRecordingConfigChanged(List<AudioRecordingConfiguration> own) {
            boolean now = !own.isEmpty() && own.get(0).isClientSilenced();
            if (now != silenced) {
                silenced = now;
                listener.onSilenced(now);
            }
        }
    }
}
