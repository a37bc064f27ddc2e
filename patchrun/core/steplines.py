"""The step lines that training scripts print.

    step:120/600 train_loss:3.9876 train_time:5123ms
    step:1250/1770 val_loss:3.2781 train_time:109284ms step_avg:86.32ms

What a script prints is shown to people; a verdict rests on it only where the track's evidence is the log.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_NUMBER = r"(?:nan|-?inf|-?\d{1,15}(?:\.\d{1,15})?(?:[eE][+-]?\d{1,3})?)"
_STEP_LINE = re.compile(
    r"step:(?P<step>\d{1,9})/(?P<steps>\d{1,9})"
    rf"(?: train_loss:(?P<train_loss>{_NUMBER}))?"
    rf"(?: val_loss:(?P<val_loss>{_NUMBER}))?"
    rf" train_time:(?P<train_time>{_NUMBER})ms"
    rf"(?: step_avg:(?P<step_avg>{_NUMBER})ms)?",
    re.ASCII,
)


@dataclass(frozen=True)
class StepLine:
    """One step line; losses in nats per token, times in milliseconds as claimed; None: not said or not finite."""

    step: int
    steps: int
    train_loss: float | None
    val_loss: float | None
    train_time_ms: float | None
    step_avg_ms: float | None

    @property
    def loss(self) -> float | None:
        return self.train_loss if self.val_loss is None else self.val_loss


def parse_step_line(line: str) -> StepLine | None:
    """The step line, or None when ``line`` is anything else: the whole line must have the form."""
    match = _STEP_LINE.fullmatch(line.strip())
    if not match:
        return None
    words = match.groupdict()
    return StepLine(
        int(words["step"]),
        int(words["steps"]),
        *(_finite(words[name]) for name in ("train_loss", "val_loss", "train_time", "step_avg")),
    )


def _finite(word: str | None) -> float | None:
    value = math.nan if word is None else float(word)
    return value if math.isfinite(value) else None
