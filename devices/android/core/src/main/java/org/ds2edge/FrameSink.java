package org.ds2edge;

/** Takes frames from the front end. */
interface FrameSink {
    /** Takes the next frame. The array is used again for the next one. */
    void accept(float[] frame);
}
