package org.ds2edge;

import java.util.Map;

/** What a phrase means. The file of phrases names the intent and the values of the slots. */
public final class Meaning {
    public final String intent;

    /** Values by the name of the slot: String, Long, Double, Boolean, List, Map or null. */
    public final Map<String, Object> slots;

    Meaning(String intent, Map<String, Object> slots) {
        this.intent = intent;
        this.slots = slots;
    }

    @Override
    public String toString() {
        return intent + " " + slots;
    }
}
