"""What was measured of the pocket ladder, as markdown tables: from runs and scripts to text, nothing else."""

from __future__ import annotations

import ast
import hashlib
import re
import statistics
from dataclasses import dataclass

TUNING_SEEDS = range(1000, 1020)
FRESH_SEEDS = range(2000, 2100)
STUDY_RUNS = 5  # runs in the mean that has to reach the target


@dataclass(frozen=True)
class Run:
    """One training: which script (number 0 is the base), how many of its steps, which seed, and what came out."""

    number: int
    digest: str
    seed: int
    steps: int
    stop: int | None
    loss: float
    cpu_s: float
    parameters: int


def script_digest(text: str) -> str:
    """A digest that comments and layout do not change."""
    return hashlib.sha256(ast.dump(ast.parse(text)).encode()).hexdigest()[:16]


def steps_of(text: str) -> int:
    """The number of optimizer steps that a script sets."""
    return int(re.search(r"^STEPS = (\d+)", text, flags=re.M)[1])


def with_steps(text: str, steps: int) -> str:
    """The steps-only patch: the same script with another number of steps, its schedule scaled along."""
    return re.sub(r"^STEPS = \d+", f"STEPS = {steps}", text, count=1, flags=re.M)


def all_tables(runs: list[Run], scripts: list[str], target: float) -> str:
    """Every table, each under its heading; `target` in nats per token."""
    parts = {
        "Times": times_table(runs, scripts),
        "Steps": steps_table(runs, scripts),
        "The steps-only control": control_table(runs, scripts, target),
        "Loss floors": floors_table(runs, scripts),
    }
    return "\n\n".join(f"### {title}\n\n{table}" for title, table in parts.items())


def rule_bound(losses: list[float]) -> float:
    """Mean + 2 sd / sqrt(5): what must be at or below the target (sd over the seeds, n - 1 in its denominator)."""
    return statistics.fmean(losses) + 2 * statistics.stdev(losses) / STUDY_RUNS**0.5


def steps_table(runs: list[Run], scripts: list[str]) -> str:
    """Every number of steps tried for each script with the tuning seeds."""
    rows = [
        "| record | steps | n | mean loss | sd | mean + 2 sd / sqrt 5 | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for number, text in enumerate(scripts):
        for steps, losses in sorted(_losses_by_steps(runs, text).items()):
            mark = "chosen" if steps == steps_of(text) else ""
            mean, sd = statistics.fmean(losses), statistics.stdev(losses)
            rows.append(
                f"| {number} | {steps} | {len(losses)} | {mean:.4f} | {sd:.4f} | {rule_bound(losses):.4f} | {mark} |"
            )
    return "\n".join(rows)


def _losses_by_steps(runs: list[Run], text: str) -> dict[int, list[float]]:
    """Losses over the tuning seeds of a script and its steps-only changes, where there are at least two."""
    found: dict[int, list[float]] = {}
    digests = {script_digest(with_steps(text, steps)): steps for steps in {run.steps for run in runs}}
    for run in runs:
        if run.stop is None and run.seed in TUNING_SEEDS and run.digest in digests:
            found.setdefault(digests[run.digest], []).append(run.loss)
    return {steps: losses for steps, losses in found.items() if len(losses) > 1}


def _timed(runs: list[Run], text: str) -> dict[int, Run]:
    """The timed runs of a script, by seed."""
    digest = script_digest(text)
    return {run.seed: run for run in runs if run.digest == digest and run.stop is None and run.seed in FRESH_SEEDS}


def times_table(runs: list[Run], scripts: list[str]) -> str:
    """Seconds and losses of each script over the fresh seeds, and the gain over the one before, paired by seed."""
    rows = [
        "| record | steps | parameters | n | CPU s | sd | loss | sd | gain | gain / sd | gain / standard error |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    before: dict[int, Run] = {}
    for number, text in enumerate(scripts):
        now = _timed(runs, text)
        if len(now) < 2:
            continue
        seconds, losses = [run.cpu_s for run in now.values()], [run.loss for run in now.values()]
        row = [number, steps_of(text), next(iter(now.values())).parameters, len(now)]
        row += [f"{value:.{digits}f}" for values, digits in ((seconds, 2), (losses, 4)) for value in _mean_sd(values)]
        rows.append("| " + " | ".join(map(str, row + _gain(before, now))) + " |")
        before = now
    return "\n".join(rows)


def _mean_sd(values: list[float]) -> tuple[float, float]:
    return statistics.fmean(values), statistics.stdev(values)


def _gain(before: dict[int, Run], now: dict[int, Run]) -> list[str]:
    """Gain in percent, over the sd of the paired differences, and over their standard error."""
    pairs = [(before[seed].cpu_s, now[seed].cpu_s) for seed in now if seed in before]
    if len(pairs) < 2:
        return ["", "", ""]
    mean, sd = _mean_sd([old - new for old, new in pairs])
    share = mean / statistics.fmean(old for old, _ in pairs)
    return [f"{share:.0%}", f"{mean / sd:.1f}", f"{mean / sd * len(pairs) ** 0.5:.0f}"]


def control_table(runs: list[Run], scripts: list[str], target: float) -> str:
    """What the best steps-only patch to each baseline scores: the fewest steps at which the mean over the seeds still
    meets the target (between two counts that were run, on the straight line), at the baseline's seconds per step."""
    rows = [
        "| record | steps of its baseline | fewest steps, mean at the target | FSR of that |",
        "| --- | --- | --- | --- |",
    ]
    for number in range(1, len(scripts)):
        baseline, human = _timed(runs, scripts[number - 1]), _timed(runs, scripts[number])
        fewest = fewest_steps(_losses_by_steps(runs, scripts[number - 1]), target)
        if not baseline or not human or fewest is None:
            continue
        steps = steps_of(scripts[number - 1])
        before, after = (statistics.fmean(run.cpu_s for run in arm.values()) for arm in (baseline, human))
        score = before * (1 - fewest / steps) / (before - after)
        rows.append(f"| {number} | {steps} | {fewest:.1f} | {score:.3f} |")
    return "\n".join(rows)


def fewest_steps(losses: dict[int, list[float]], target: float) -> float | None:
    """Where the line through the mean losses at the two counts nearest the target meets it; None without two counts."""
    means = {steps: statistics.fmean(values) for steps, values in losses.items()}
    if len(means) < 2:
        return None
    (a, loss_a), (b, loss_b) = sorted(means.items(), key=lambda item: abs(item[1] - target))[:2]
    return a + (target - loss_a) * (b - a) / (loss_b - loss_a)


def floors_table(runs: list[Run], scripts: list[str]) -> str:
    """The lowest loss seen after 0, 1, 2, ... updates."""
    stops = sorted({run.stop for run in runs if run.stop is not None})
    rows = [f"| record | n | {' | '.join(map(str, stops))} |", "| --- | --- |" + " --- |" * len(stops)]
    for number, text in enumerate(scripts):
        digest = script_digest(text)
        lows = [[run.loss for run in runs if run.digest == digest and run.stop == stop] for stop in stops]
        if stops and all(lows):
            cells = " | ".join(f"{min(losses):.3f}" for losses in lows)
            rows.append(f"| {number} | {min(map(len, lows))} | {cells} |")
    return "\n".join(rows)
