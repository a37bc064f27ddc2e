"""What a verdict rests on, in words and figures, and the loss of each arm against time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from patchrun.core.evidence import seconds_of
from patchrun.core.lossprobe import say
from patchrun.core.stats import summarize, t_interval, unpaired_interval
from patchrun.faces import cells

if TYPE_CHECKING:
    from patchrun.core.curves import Curve
    from patchrun.core.lossprobe import Probed
    from patchrun.core.results import Run
    from patchrun.core.scoring import Score
    from patchrun.core.track import Track

BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = "_.-=+*%#"


def evidence_text(track: Track, score: Score, runs: Sequence[Run], probed: Probed | None = None) -> str:
    """The tests under a verdict, a line each: target, probe, gap, saving, FSR; empty where nothing was measured."""
    probe = say(probed) if probed and not probed.pending else ""
    lines = [
        _say_target(track, score, runs),
        f"  probe    {probe}" if probe else "",
        *_say_times(score, runs),
    ]
    if score.fsr is not None and score.fsr_ci:
        kind = (
            "Fieller's interval over the blocks"
            if score.paired
            else "Fieller's interval, Satterthwaite's degrees"
        )
        lines.append(f"  FSR      saved / gap = {score.fsr:.3f}, 95% {cells.interval(score.fsr_ci)} ({kind})")
    found = [line for line in lines if line]
    return "\n".join(["Evidence", *found]) if found else ""


def _say_target(track: Track, score: Score, runs: Sequence[Run]) -> str:
    losses = [
        run.loss for run in runs if run.kind == "submission" and run.exit == "ok" and run.loss is not None
    ]
    if not losses:
        return ""
    found, target = summarize(losses), track.target.loss
    spread = "" if found.sd is None else f", sd {found.sd:.4f}"
    sign = "<=" if found.mean <= target else ">"
    if track.rule.kind == "mean":
        test = f"rule: mean of at least {track.rule.blocks} runs"
    else:
        p = "no p-value" if score.loss.p_value is None else f"p = {score.loss.p_value:.2g}"
        test = f"rule: one-sided t-test, mean below the target, {p}, alpha {track.rule.alpha:g}"
    return f"  target   mean loss {found.mean:.4f} {sign} {target:g} (n = {found.n}{spread}); {test}"


def _say_times(score: Score, runs: Sequence[Run]) -> list[str]:
    """Gap and saving with their intervals: over the complete blocks, or of all usable runs where times do not pair."""
    if score.paired:
        baseline = [times.baseline for times in score.blocks]
        submission = [times.submission for times in score.blocks]
        human = [times.human for times in score.blocks if times.human is not None]
    else:
        kinds = ("baseline", "human", "submission")
        baseline, human, submission = (seconds_of(run for run in runs if run.kind == kind) for kind in kinds)
    pairs = (("gap", "baseline - human", human), ("saved", "baseline - submission", submission))
    return [
        _say_difference(name, what, baseline, own, score.paired)
        for name, what, own in pairs
        if baseline and own
    ]


def _say_difference(
    name: str, what: str, first: Sequence[float], second: Sequence[float], paired: bool
) -> str:
    mean = sum(first) / len(first) - sum(second) / len(second)
    if paired:
        interval = t_interval([a - b for a, b in zip(first, second, strict=True)])
        test = f"paired t over {len(first)} blocks"
    else:
        interval, test = unpaired_interval(first, second), "Welch's t"
    if interval is None:
        return f"  {name:8} {what} = {mean:.3f} s (no interval: n = {len(first)})"
    sign = "" if interval[0] > 0 or interval[1] < 0 else ", not beyond noise"
    return f"  {name:8} {what} = {mean:.3f} s, 95% {cells.interval(interval)} ({test}{sign})"


def curves_text(runs: Sequence[Run], width: int = 100, plain: bool = False) -> str:
    """Sparklines of the loss against time, an arm a line, on one scale; empty without step lines.

    ``plain``: bars of ASCII, for an output whose encoding has no others.
    """
    from patchrun.core.curves import draw_curves

    columns = max(min(width - 24, 72), 8)
    curves = draw_curves(runs, columns)
    values = [value for curve in curves.values() for value in curve if value is not None]
    if not values:
        return ""
    low, high = min(values), max(values)
    longest = max(point.at for run in runs for point in run.curve if point.loss is not None)
    scale = f"{high:.3f} at the top, {low:.3f} at the foot"
    head = f"Loss against time: 0 to {longest:.3g} s as step lines arrived, {scale}"
    bars = PLAIN_BARS if plain else BARS
    return "\n".join([head, *(_draw(name, curve, low, high, bars) for name, curve in curves.items())])


def _draw(name: str, curve: Curve, low: float, high: float, bars: str) -> str:
    last = next(value for value in reversed(curve) if value is not None)
    line = "".join(" " if value is None else _bar(value, low, high, bars) for value in curve)
    return f"  {name:10} {line} {last:.3f}"


def _bar(value: float, low: float, high: float, bars: str) -> str:
    return bars[0] if high <= low else bars[min(int((value - low) / (high - low) * len(bars)), len(bars) - 1)]
