"""A submission scored from logs: times are compared only within one hardware class, and the source is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from patchrun.core.ladder import Record
from patchrun.core.ladderstats import Sample, sample_of
from patchrun.core.logfacts import LogFact, counted
from patchrun.core.results import VerdictName
from patchrun.core.stats import Interval, check_mean_at_most, unpaired_fsr, unpaired_interval
from patchrun.core.track import Track

REFERENCES = ("baseline", "human")


@dataclass(frozen=True)
class LogScore:
    """What logs say of a submission. ``runs``: logs per arm; times are the scripts' own, in one hardware class."""

    verdict: VerdictName
    reason: str
    hardware_class: str = ""
    runs: tuple[tuple[str, int], ...] = ()
    fsr: float | None = None
    fsr_ci: Interval | None = None
    loss_mean: float | None = None
    p_value: float | None = None
    source: str = "logs"


def score_logs(facts: Sequence[LogFact], record: Record, submission: str, track: Track) -> LogScore:
    """Score ``submission`` (an id) on ``record`` from the logs that count.

    The three arms are independent samples: ``unpaired_fsr`` (Fieller). A record that changed only its environment, a
    gap that is not beyond noise, and a hardware class without all three arms cannot be scored.
    """
    if record.environment_only:
        return LogScore("unscorable", "the record changed only its environment")
    names = (*REFERENCES, submission)
    arms = {
        name: [fact for fact in counted(facts, record.number, name) if fact.seconds is not None]
        for name in names
    }
    if not arms[submission]:
        return LogScore("unscorable", "no log of the submission counts")
    chosen = _pick_class(arms, submission)
    if chosen is None:
        seen = ", ".join(sorted({fact.hardware_class for fact in arms[submission]}))
        return LogScore("unscorable", f"baseline and human have no logs on the submission's hardware: {seen}")
    own = {name: sample_of(fact for fact in arms[name] if fact.hardware_class == chosen) for name in names}
    return _score_samples(own, submission, chosen, track)


def _score_samples(own: Mapping[str, Sample], submission: str, hardware_class: str, track: Track) -> LogScore:
    """The score from samples of baseline, human and submission, in this order, of one hardware class."""
    test = check_mean_at_most(own[submission].losses, track.target.loss)
    verdict, reason = _judge(track, test.mean, test.p_value, test.reason)
    baseline, human, mine = (sample.seconds for sample in own.values())
    gap = unpaired_interval(baseline, human)
    if verdict == "valid" and (gap is None or gap[0] <= 0):
        verdict, reason = (
            "unscorable",
            "the gap between baseline and human is not beyond the noise of these logs",
        )
    ratio = unpaired_fsr(baseline, mine, human) if verdict == "valid" else None
    return LogScore(
        verdict=verdict,
        reason=reason or (ratio.reason if ratio else ""),
        hardware_class=hardware_class,
        runs=tuple((name, len(sample.seconds)) for name, sample in own.items()),
        fsr=ratio.value if ratio else None,
        fsr_ci=ratio.interval if ratio else None,
        loss_mean=test.mean,
        p_value=test.p_value,
    )


def _pick_class(arms: dict[str, list[LogFact]], submission: str) -> str | None:
    """The hardware class with most of the submission's logs among those in which every arm has one."""
    shared = set.intersection(*({fact.hardware_class for fact in facts} for facts in arms.values()))
    mine = [fact.hardware_class for fact in arms[submission]]
    return max(sorted(shared), key=mine.count, default=None)


def _judge(track: Track, mean: float, p_value: float | None, why_none: str) -> tuple[VerdictName, str]:
    """The validity rule on the submission's losses."""
    target, alpha = track.target.loss, track.rule.alpha
    if mean > target:
        return "missed-target", f"mean loss {mean:.4f} is above {target}"
    if track.rule.kind == "t-test" and (p_value is None or alpha is None or p_value >= alpha):
        said = why_none or f"p = {p_value:.3g}, the rule needs less than {alpha}"
        return "unproven", f"mean loss {mean:.4f} reaches {target}, but {said}"
    return "valid", ""
