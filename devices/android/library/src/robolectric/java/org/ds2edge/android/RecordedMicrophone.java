package org.ds2edge.android;

import android.media.AudioRecord;
import java.util.concurrent.CountDownLatch;
import org.robolectric.shadows.ShadowAudioRecord;

/** Gives recorded sound to AudioRecord. Then it is silent, or fails with an error code. */
final class RecordedMicrophone implements ShadowAudioRecord.AudioRecordSource {
    private final short[] samples;
    private final int length; // samples to give
    private final int errorCode; // 0: waits for the end of the recording
    private final CountDownLatch atEnd = new CountDownLatch(1);
    private int position;

    private RecordedMicrophone(short[] samples, int length, int errorCode) {
        this.samples = samples;
        this.length = length;
        this.errorCode = errorCode;
    }

    static RecordedMicrophone install(short[] samples, int length, int errorCode) {
        final RecordedMicrophone source = new RecordedMicrophone(samples, length, errorCode);
        ShadowAudioRecord.setSourceProvider(
                new ShadowAudioRecord.AudioRecordSourceProvider() {
                    @Override
                    public ShadowAudioRecord.AudioRecordSource get(AudioRecord record) {
                        return source;
                    }
                });
        return source;
    }

    @Override
    public int readInShortArray(short[] block, int offset, int size, boolean blocking) {
        int count = Math.min(size, length - position);
        System.arraycopy(samples, position, block, offset, count);
        position += count;
        if (count > 0) {
            return count;
        }
        atEnd.countDown();
        pause();
        return errorCode;
    }

    void awaitEnd() throws InterruptedException {
        atEnd.await();
    }

    private static void pause() {
        try {
            Thread.sleep(1);
        } catch (InterruptedException error) {
            throw new AssertionError(error);
        }
    }
}
