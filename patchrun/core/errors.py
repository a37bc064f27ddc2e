"""Errors whose message is meant for the user.

Raised where the fact is known, caught once, in ``patchrun.faces.cli``. A rejected patch or a
failed run is an answer (a value), never one of these.
"""


class PatchrunError(Exception):
    """What happened, to which file or key, and what to do next (exit code 2).

    ``hint`` is one sentence that tells the user how to go on; it is printed on its own line. ``code`` names the kind of
    error in JSON.
    """

    exit_code = 2
    code = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(PatchrunError):
    """Wrong words on the command line, or a file that is not what it should be."""

    code = "usage"


class SetupError(PatchrunError):
    """The machine or the environment lacks something: data, disk, torch, a sandbox, git."""

    code = "setup"


class ManifestError(PatchrunError):
    """A manifest breaks its schema; the message names every problem with file and key."""

    code = "manifest"


class ArenaError(PatchrunError):
    """The arena is not one, is damaged, or refuses the write."""

    code = "arena"


class UnreadableDiff(PatchrunError):
    """The input cannot be read as a unified diff: nothing is stored (exit code 1)."""

    exit_code = 1
    code = "unreadable-diff"


class NotADiff(UnreadableDiff):
    """No file header and no hunk in it, as git writes them."""
