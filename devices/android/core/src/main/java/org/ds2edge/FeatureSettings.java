package org.ds2edge;

import java.util.Map;

/**
 * How samples become frames. Levels are in dB relative to a full-scale sine at the centre of a bin.
 */
public final class FeatureSettings {
    /** Hz. */
    public final int sampleRate;

    /** Samples in the window of one frame. */
    public final int window;

    /** Samples from one frame to the next. */
    public final int hop;

    /** 0: linear bins. Otherwise the number of triangular bands on the HTK mel scale. */
    public final int melBands;

    /** Lower bound of a level in dB. */
    public final double floorDb;

    /** Upper bound of a level in dB. */
    public final double ceilingDb;

    /**
     * 0: the bounds are relative to full scale. Otherwise they are relative to a running level. Each
     * louder frame moves it by this share of the difference, each softer frame by {@link #levelFall}.
     */
    public final double levelRise;

    /** The share for softer frames. */
    public final double levelFall;

    FeatureSettings(Fields fields) {
        sampleRate = fields.integer("sample_rate", 16000);
        window = fields.integer("window", 320);
        hop = fields.integer("hop", 160);
        melBands = fields.integer("mel_bands", 0);
        floorDb = fields.number("floor_db", -80.0);
        ceilingDb = fields.number("ceiling_db", 0.0);
        levelRise = fields.number("level_rise", 0.0);
        levelFall = fields.number("level_fall", 0.003);
        fields.requireNoOther();
    }

    /** The settings as a specification has them in JSON, with defaults for those it lacks. */
    static FeatureSettings of(Map<?, ?> values) {
        return new FeatureSettings(new Fields(values, "features"));
    }

    /** Values per frame. */
    public int bins() {
        return melBands > 0 ? melBands : window / 2 + 1;
    }
}
