package org.ds2edge;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The fields of a JSON object. Faults name the field, after {@code where}. */
final class Fields {
    private final Map<?, ?> values;
    private final String where;
    private final Set<String> read = new HashSet<>();

    /** Throws InputException if {@code values} is no JSON object. */
    Fields(Object values, String where) {
        if (!(values instanceof Map)) {
            throw new InputException(where + ": expected a table, got " + values);
        }
        this.values = (Map<?, ?>) values;
        this.where = where;
    }

    boolean has(String name) {
        return values.get(name) != null;
    }

    Object get(String name) {
        read.add(name);
        Object value = values.get(name);
        if (value == null) {
            throw new InputException(where + ": '" + name + "' is missing");
        }
        return value;
    }

    int integer(String name) {
        return (int) whole(get(name), name);
    }

    int integer(String name, int otherwise) {
        read.add(name);
        return has(name) ? integer(name) : otherwise;
    }

    double number(String name, double otherwise) {
        read.add(name);
        return has(name) ? number(get(name), name) : otherwise;
    }

    String text(String name) {
        Object value = get(name);
        if (!(value instanceof String)) {
            throw wrong(name, "text", value);
        }
        return (String) value;
    }

    List<?> list(String name) {
        Object value = get(name);
        if (!(value instanceof List)) {
            throw wrong(name, "a list", value);
        }
        return (List<?>) value;
    }

    List<String> texts(String name) {
        List<String> texts = new ArrayList<>();
        for (Object value : list(name)) {
            if (!(value instanceof String)) {
                throw wrong(name, "a list of texts", value);
            }
            texts.add((String) value);
        }
        return texts;
    }

    double[] numbers(String name) {
        List<?> list = list(name);
        double[] numbers = new double[list.size()];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = number(list.get(i), name);
        }
        return numbers;
    }

    int[] integers(String name) {
        List<?> list = list(name);
        int[] integers = new int[list.size()];
        for (int i = 0; i < integers.length; i++) {
            integers[i] = (int) whole(list.get(i), name);
        }
        return integers;
    }

    /** A setting that nobody read is one of a newer version: ignoring it could give other text. */
    void requireNoOther() {
        for (Object name : values.keySet()) {
            if (!read.contains(name)) {
                throw new InputException(
                        where + ": unknown setting '" + name + "': a newer ds2edge made this model:"
                                + " use a newer version of this library");
            }
        }
    }

    private double number(Object value, String name) {
        if (!(value instanceof Number)) {
            throw wrong(name, "a number", value);
        }
        return ((Number) value).doubleValue();
    }

    private long whole(Object value, String name) {
        if (!(value instanceof Long) || (Long) value != ((Long) value).intValue()) {
            throw wrong(name, "a whole number", value);
        }
        return (Long) value;
    }

    private InputException wrong(String name, String expected, Object value) {
        return new InputException(where + ": " + name + ": expected " + expected + ", got " + value);
    }
}
