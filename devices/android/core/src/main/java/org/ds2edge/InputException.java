package org.ds2edge;

/**
 * Input that cannot be used: a file, a sample rate, an argument.
 *
 * <p>The message is one sentence for the user. It names the thing and says what to do.
 */
public final class InputException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public InputException(String message) {
        super(message);
    }

    public InputException(String message, Throwable cause) {
        super(message, cause);
    }
}
