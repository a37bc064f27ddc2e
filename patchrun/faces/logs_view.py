"""A score from logs, as text and as JSON: its source and its hardware class are always said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patchrun.faces import cells

if TYPE_CHECKING:
    from patchrun.core.logscore import LogScore


def logs_document(score: LogScore) -> dict[str, Any]:
    """The keys under ``logs`` of ``patchrun show``; what does not exist is None."""
    return {
        "source": score.source,
        "verdict": score.verdict,
        "reason": score.reason,
        "hardware_class": score.hardware_class or None,
        "runs": dict(score.runs),
        "fsr": score.fsr,
        "fsr_ci": cells.pair(score.fsr_ci),
        "loss_mean": score.loss_mean,
        "p_value": score.p_value,
    }


def logs_text(score: LogScore) -> str:
    """A few lines; a score from logs never enters the leaderboard, since the clock is the script's own."""
    because = f", {score.reason}" if score.reason else ""
    lines = [f"From logs (the scripts' own clocks, not ranked): {score.verdict}{because}"]
    if score.runs:
        counts = ", ".join(f"{count} {name[:12]}" for name, count in score.runs)
        lines.append(f"  {counts}; on {score.hardware_class}")
    if score.loss_mean is not None:
        p_value = "" if score.p_value is None else f", p = {score.p_value:.2g}"
        lines.append(f"  mean loss {score.loss_mean:.4f}{p_value}")
    if score.fsr is not None:
        interval = f", 95% interval {cells.interval(score.fsr_ci)}" if score.fsr_ci else ""
        lines.append(f"  FSR {score.fsr:.3f}{interval} (unpaired)")
    return "\n".join(lines)
