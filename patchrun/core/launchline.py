"""The launch command of a real record: its own ``run.sh``, read strictly and never executed as a shell script."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from patchrun.core.errors import PatchrunError


class LaunchError(PatchrunError):
    """A ``run.sh`` that says more than how torchrun starts one script."""


@dataclass(frozen=True)
class Launch:
    """The script that ``run.sh`` starts, and the words that follow it."""

    script: str
    arguments: tuple[str, ...]


def read_launch(text: str) -> Launch:
    """``torchrun --standalone --nproc_per_node=N SCRIPT ARGUMENTS``, lines joined at backslashes.

    The number of processes is not taken over: it follows from the GPUs present. Raises LaunchError for anything
    that a shell would do besides (another command, a redirection, an expansion).
    """
    line = re.sub(r"\\\n", " ", text).strip()
    try:
        words = shlex.split(line, comments=False, posix=True)
        bare = shlex.shlex(line, posix=True, punctuation_chars=True)
        bare.whitespace_split = True
        operators = [word for word in bare if re.fullmatch(r"[();<>|&]+", word)]
    except ValueError as error:
        raise LaunchError(f"run.sh: {error}", HINT) from None
    if operators or "\n" in line or re.search(r"[$`]", line):
        raise LaunchError("run.sh does more than start one script", HINT)
    match words:
        case ["torchrun", "--standalone", processes, script, *arguments] if re.fullmatch(
            r"--nproc[_-]per[_-]node=\d+", processes
        ) and re.fullmatch(r"[\w.-]+\.py", script):
            return Launch(script, tuple(arguments))
    raise LaunchError(f"run.sh: not torchrun with one script: {line[:80]!r}", HINT)


HINT = "write: torchrun --standalone --nproc_per_node=8 SCRIPT [ARGUMENTS]"


def choose_processes(present: int, allowed: Sequence[int]) -> int | None:
    """The largest allowed process count that ``present`` GPUs carry; None when they are too few."""
    return max((count for count in allowed if count <= present), default=None)
