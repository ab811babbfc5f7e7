"""The two errors that end a command on purpose; the command line prints each as one line."""


class InputError(ValueError):
    """Some input is missing, unreadable or contradictory (exit code 2).

    The message is one line that names the input and the remedy.
    """

    def __init__(self, message: object) -> None:
        super().__init__(one_line(message))


class QualityCheckFailed(RuntimeError):
    """The work is done, but the result misses the bound that the caller asked for (exit code 1)."""


def one_line(error: object) -> str:
    """The text of an error on one line: file names may contain line breaks."""
    return " ".join(str(error).split("\n"))
