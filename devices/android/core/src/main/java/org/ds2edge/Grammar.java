package org.ds2edge;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The sentences of compiled phrases, and what they mean.
 *
 * <p>An expression is what the file has in JSON: a text, {@code ["all", ...]} for all items in order,
 * {@code ["any", ...]} for one of them, or {@code {list: slot}} for a value of a list.
 */
final class Grammar {
    private final List<?> intents; // [name, sentences, slots, weight]
    private final Map<?, ?> lists; // values [said, weight] or [said, weight, meaning]; null: any words

    Grammar(Fields content) {
        intents = content.list("intents");
        lists = (Map<?, ?>) content.get("lists");
    }

    /**
     * Intent and slots of a text whose words are separated by one space; null if no sentence fits. If
     * several fit, the first one of the file counts.
     */
    Meaning match(String text) {
        for (Object each : intents) {
            List<?> intent = (List<?>) each;
            for (Object sentence : (List<?>) intent.get(1)) {
                Matcher matcher = new Matcher(text);
                if (matcher.match(sentence, 0, new End(text))) {
                    Map<String, Object> slots = new LinkedHashMap<>();
                    for (Map.Entry<?, ?> slot : ((Map<?, ?>) intent.get(2)).entrySet()) {
                        slots.put((String) slot.getKey(), slot.getValue());
                    }
                    matcher.putSlots(slots);
                    return new Meaning((String) intent.get(0), slots);
                }
            }
        }
        return null;
    }

    /** What must match after an expression. */
    private interface Rest {
        boolean match(int at);
    }

    /** Nothing must follow, but for a space. */
    private static final class End implements Rest {
        private final String text;

        End(String text) {
            this.text = text;
        }

        @Override
        public boolean match(int at) {
            return text.substring(at).trim().isEmpty();
        }
    }

    /** Tries all ways in which an expression matches, one after the other, as a parser does. */
    private final class Matcher {
        private final String text;
        private final List<String> slotNames = new ArrayList<>();
        private final List<Object> slotValues = new ArrayList<>();

        Matcher(String text) {
            this.text = text;
        }

        void putSlots(Map<String, Object> slots) {
            for (int i = 0; i < slotNames.size(); i++) {
                slots.put(slotNames.get(i), slotValues.get(i));
            }
        }

        boolean match(Object expression, int at, Rest rest) {
            if (expression instanceof String) {
                int end = literal((String) expression, at);
                return end >= 0 && rest.match(end);
            }
            if (expression instanceof Map) {
                Map.Entry<?, ?> slot = ((Map<?, ?>) expression).entrySet().iterator().next();
                List<?> values = (List<?>) lists.get(slot.getKey());
                String name = (String) slot.getValue();
                return values == null ? anything(name, at, rest) : value(values, name, at, rest);
            }
            List<?> items = (List<?>) expression;
            if (items.get(0).equals("all")) {
                return sequence(items, 1, at, rest);
            }
            for (Object item : items.subList(1, items.size())) {
                if (match(item, at, rest)) {
                    return true;
                }
            }
            return false;
        }

        private boolean sequence(final List<?> items, final int number, int at, final Rest rest) {
            if (number == items.size()) {
                return rest.match(at);
            }
            Rest others =
                    new Rest() {
                        @Override
                        public boolean match(int middle) {
                            return sequence(items, number + 1, middle, rest);
                        }
                    };
            return match(items.get(number), at, others);
        }

        /** A wildcard: one word or more. */
        private boolean anything(String name, int at, Rest rest) {
            int start = at < text.length() && text.charAt(at) == ' ' ? at + 1 : at;
            int end = start;
            while (end < text.length()) {
                int space = text.indexOf(' ', end + 1);
                end = space < 0 ? text.length() : space;
                if (matchWith(name, text.substring(start, end), end, rest)) {
                    return true;
                }
            }
            return false;
        }

        private boolean value(List<?> values, final String name, final int at, final Rest rest) {
            for (Object each : values) {
                final List<?> value = (List<?>) each;
                Rest found =
                        new Rest() {
                            @Override
                            public boolean match(int end) {
                                Object means =
                                        value.size() > 2
                                                ? value.get(2)
                                                : text.substring(at, end).trim();
                                return matchWith(name, means, end, rest);
                            }
                        };
                if (match(value.get(0), at, found)) {
                    return true;
                }
            }
            return false;
        }

        /** Matches the rest with one more slot filled. */
        private boolean matchWith(String name, Object means, int at, Rest rest) {
            slotNames.add(name);
            slotValues.add(means);
            if (rest.match(at)) {
                return true;
            }
            slotNames.remove(slotNames.size() - 1);
            slotValues.remove(slotValues.size() - 1);
            return false;
        }

        /**
         * Where the literal ends if it starts at {@code at}; -1 if it does not fit. A space matches
         * the space between two words, whether or not that one was matched before.
         */
        private int literal(String wanted, int at) {
            for (int i = 0; i < wanted.length(); i++) {
                boolean fits = at < text.length() && text.charAt(at) == wanted.charAt(i);
                if (fits) {
                    at++;
                } else if (wanted.charAt(i) != ' '
                        || 0 < at && at < text.length() && text.charAt(at - 1) != ' ') {
                    return -1;
                }
            }
            return at;
        }
    }
}
