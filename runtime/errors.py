"""The two ways in which the kit ends early on purpose; the command line turns them into one line and an exit code."""


class InputError(ValueError):
    """Something that was given is missing, unreadable or contradictory (exit code 2).

    The message is one line that names the thing and the remedy.
    """

    def __init__(self, message: object) -> None:
        super().__init__(one_line(message))


class QualityCheckFailed(RuntimeError):
    """The work was done, but its result misses the bound that was asked for (exit code 1)."""


def one_line(error: object) -> str:
    """A message on one line: a file's name may hold line breaks."""
    return " ".join(str(error).split("\n"))
