package org.ds2edge.android;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * A queue between a microphone, which cannot wait, and a recognizer, which may be slow. It drops the
 * oldest block when it is full.
 */
final class SoundQueue {
    private final int capacity; // samples
    private final Deque<short[]> blocks = new ArrayDeque<>();
    private int queued; // samples
    private long dropped;
    private boolean ended;

    SoundQueue(int capacity) {
        this.capacity = capacity;
    }

    /** Adds a block. Never waits. */
    synchronized void put(short[] block) {
        blocks.add(block);
        queued += block.length;
        while (queued > capacity && blocks.size() > 1) {
            int oldest = blocks.remove().length;
            queued -= oldest;
            dropped += oldest;
        }
        notifyAll();
    }

    /** No more blocks will come. */
    synchronized void end() {
        ended = true;
        notifyAll();
    }

    /** Waits for the oldest block and removes it; null after the last one. */
    synchronized short[] take() throws InterruptedException {
        while (blocks.isEmpty() && !ended) {
            wait();
        }
        short[] block = blocks.poll();
        if (block != null) {
            queued -= block.length;
        }
        return block;
    }

    /** Samples that were dropped so far. */
    synchronized long dropped() {
        return dropped;
    }
}
