"""Console lines that libraries write and a script's own log does not hold: a list, each entry with a budget.

None of them looks like a step line, so none can say anything about time. A budget bounds what a run can hide its own
words in; a run of hours on eight processes stays far below it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Listed:
    """``pattern`` matches a whole line; at most ``budget`` lines of a run may be of this kind."""

    source: str
    pattern: re.Pattern[str]
    budget: int


def _list(source: str, pattern: str, budget: int) -> Listed:
    return Listed(source, re.compile(pattern, re.ASCII | re.DOTALL), budget)


TAG = r"(?:\[(?:rank|default)?\d{1,4}\]:? ?)?"  # torch.distributed puts the rank before its lines
LISTED = (
    _list("torch's C++ log", TAG + r"\[?[WEIF]\d{4} \d\d:\d\d:\d\d[.\d]* .*", 2000),
    _list("torch's C++ log, older", TAG + r"\[[WEIF] [\w./-]+:\d{1,6}\] .*", 2000),
    _list("torch's C++ log, dated", TAG + r"\[?[WEIF]\d{8} \d\d:\d\d:\d\d[.\d]* .*", 2000),
    _list("Python's logging", r"(?:WARNING|INFO|DEBUG|ERROR)(?::[\w.-]+:|[ :-]).*", 500),
    _list("Python's logging, dated", r"\[?\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[,.\d]*\]?.*", 500),
    _list("Python's warnings", TAG + r"(?:/|\.|<|\w)[^:]*:\d{1,6}: \w*Warning: .*", 1000),
    _list("Python at its end", r"Exception ignored in: .*|Traceback \(most recent call last\):", 100),
    _list("torchrun", r"\*{20,200}|Setting OMP_NUM_THREADS environment variable .*|"
          r"(?:master_addr|master_port|WARNING:__main__).*", 100),
    _list("NCCL", r"NCCL version \S+|[\w.-]+:\d+:\d+ \[\d+\] NCCL .*|\[\d{4}-.*\] NCCL .*", 20_000),
    _list("Gloo", r"\[Gloo\] Rank \d+ .*", 1000),
    _list("Inductor", r"AUTOTUNE \w+\(.*|SingleProcess AUTOTUNE .*|Autotune Choices Stats:|strides: .*|dtypes: .*|"
          r"\{\"num_choices\".*", 2000),
    _list("ptxas", r"ptxas .*|(?:nvcc|ninja)[ :].*", 2000),
    _list("progress bars", r"\r?(?:[\w ./()-]{0,80}:? {1,4})?\d{1,3}%\|.*\|.*", 2000),
    _list("Triton", r"Triton (?:autotuning|compilation) .*|.* autotuning for function .*", 2000),
    _list("resource tracker", r".*resource_tracker: There appear to be \d+ leaked .*", 100),
)  # fmt: skip
MOST = 40_000  # lines of all kinds together, with the lines that a message goes on in
CONTINUED = 20  # lines without indentation in which one message may go on


@dataclass
class Budget:
    """What a run has used of the list so far."""

    used: dict[str, int] = field(default_factory=dict)
    total: int = 0
    following: int = 0

    def take(self, line: str) -> bool:
        """Whether ``line`` is a library's, or goes on with one of a library's, within its budget."""
        self.total += 1
        listed = find_listed(line)
        if listed:
            self.used[listed.source] = self.used.get(listed.source, 0) + 1
            self.following = CONTINUED
            return self.used[listed.source] <= listed.budget and self.total <= MOST
        indented = line[:1] in (" ", "\t")
        fits = self.following > 0 and self.total <= MOST
        self.following -= not indented and self.following > 0
        return fits

    def end_message(self) -> None:
        """A line of the script's own ends what went before."""
        self.following = 0


def find_listed(line: str) -> Listed | None:
    """The entry of the list that ``line`` is of."""
    return next((entry for entry in LISTED if entry.pattern.fullmatch(line)), None)
