package org.ds2edge;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads JSON (RFC 8259) into String, Long, Double, Boolean, List, Map and null.
 *
 * <p>Neither Java nor the part of Android's library that runs on a desktop has a reader, and the core
 * has no dependency.
 */
final class Json {
    private static final int DEEPEST = 500;

    private final String text;
    private int at;
    private int depth;

    private Json(String text) {
        this.text = text;
    }

    /** Throws IllegalArgumentException, with the place of the fault, for text that is not JSON. */
    static Object parse(String text) {
        Json json = new Json(text);
        Object value = json.value();
        json.skipSpace();
        if (json.at < text.length()) {
            throw json.fault("more text after the end");
        }
        return value;
    }

    private Object value() {
        skipSpace();
        if (++depth > DEEPEST) {
            throw fault("too many brackets");
        }
        Object value;
        switch (peek()) {
            case '{':
                value = object();
                break;
            case '[':
                value = list();
                break;
            case '"':
                value = string();
                break;
            case 't':
                value = literal("true", Boolean.TRUE);
                break;
            case 'f':
                value = literal("false", Boolean.FALSE);
                break;
            case 'n':
                value = literal("null", null);
                break;
            default:
                value = number();
        }
        depth--;
        return value;
    }

    private Map<String, Object> object() {
        Map<String, Object> values = new LinkedHashMap<>();
        at++;
        skipSpace();
        if (take('}')) {
            return values;
        }
        do {
            skipSpace();
            if (peek() != '"') {
                throw fault("a name is missing");
            }
            String name = string();
            skipSpace();
            require(':');
            values.put(name, value());
            skipSpace();
        } while (take(','));
        require('}');
        return values;
    }

    private List<Object> list() {
        List<Object> values = new ArrayList<>();
        at++;
        skipSpace();
        if (take(']')) {
            return values;
        }
        do {
            values.add(value());
            skipSpace();
        } while (take(','));
        require(']');
        return values;
    }

    private String string() {
        StringBuilder string = new StringBuilder();
        at++;
        while (peek() != '"') {
            char letter = text.charAt(at++);
            if (letter == '\\') {
                letter = escaped();
            } else if (letter < ' ') {
                throw fault("a control character in a string");
            }
            string.append(letter);
        }
        at++;
        return string.toString();
    }

    private char escaped() {
        char letter = peek();
        at++;
        int simple = "\"\\/bfnrt".indexOf(letter);
        if (simple >= 0) {
            return "\"\\/\b\f\n\r\t".charAt(simple);
        }
        if (letter != 'u' || at + 4 > text.length()) {
            throw fault("an unknown escape");
        }
        int code = 0;
        for (int end = at + 4; at < end; at++) {
            int digit = Character.digit(text.charAt(at), 16);
            if (digit < 0) {
                throw fault("an unknown escape");
            }
            code = 16 * code + digit;
        }
        return (char) code;
    }

    private Object literal(String word, Object value) {
        if (!text.startsWith(word, at)) {
            throw fault("no value");
        }
        at += word.length();
        return value;
    }

    private Number number() {
        int start = at;
        boolean whole = true;
        while (at < text.length() && "+-.0123456789Ee".indexOf(text.charAt(at)) >= 0) {
            whole &= ".Ee".indexOf(text.charAt(at++)) < 0;
        }
        String digits = text.substring(start, at);
        try {
            if (whole) {
                return Long.valueOf(digits);
            }
            return Double.valueOf(digits);
        } catch (NumberFormatException error) {
            throw fault("no value");
        }
    }

    private void skipSpace() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private char peek() {
        if (at >= text.length()) {
            throw fault("the text ends too early");
        }
        return text.charAt(at);
    }

    private boolean take(char letter) {
        boolean found = at < text.length() && text.charAt(at) == letter;
        at += found ? 1 : 0;
        return found;
    }

    private void require(char letter) {
        if (!take(letter)) {
            throw fault("'" + letter + "' is missing");
        }
    }

    private IllegalArgumentException fault(String problem) {
        return new IllegalArgumentException(problem + " at character " + at);
    }
}
