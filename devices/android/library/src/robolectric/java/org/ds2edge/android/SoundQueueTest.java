package org.ds2edge.android;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;

import org.junit.Test;

public class SoundQueueTest {
    @Test
    public void dropsTheOldestAndCountsIt() throws Exception {
        SoundQueue queue = new SoundQueue(250);
        for (int i = 0; i < 4; i++) {
            short[] block = new short[100];
            block[0] = (short) i;
            queue.put(block);
        }
        queue.end();
        assertEquals(200, queue.dropped());
        assertEquals(2, queue.take()[0]);
        assertEquals(3, queue.take()[0]);
        assertNull(queue.take());
    }
}
