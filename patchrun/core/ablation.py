"""What each piece of a patch is worth: stored stages of an ablation, and what their runs say.

In the blocks of one study the baseline, the whole patch and variants of it run side by side with the same seeds.
Share of a variant: mean(baseline - variant) / mean(baseline - patch), Fieller's interval: the fraction of the patch's
speedup, and so of its FSR, that the variant keeps (the human's gap is below both and cancels). A variant that breaks,
or whose mean loss misses the target, keeps nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from patchrun.core.evidence import is_usable, mean_of, say_exit
from patchrun.core.minimal import Search, Subset, minimise
from patchrun.core.pieces import Piece
from patchrun.core.results import Run, Study
from patchrun.core.stages import Stage, VariantArm, full_arm
from patchrun.core.stats import Interval, holm, paired_ratio, tell_difference, unpaired_fsr
from patchrun.core.track import Track

KEPT = 0.95
ALPHA = 0.05
Label = Literal["pays", "carries", "harms", "buys margin", "costs margin", "noise", "no code"]
MEANINGS: dict[Label, str] = {
    "pays": "without it the patch is slower",
    "carries": "without it the target is missed or the run breaks",
    "harms": "without it the patch is faster, and still reaches the target",
    "buys margin": "no difference in time; without it the loss is higher, the target still reached",
    "costs margin": "no difference in time; without it the loss is lower",
    "noise": "no difference beyond noise",
    "no code": "comments or layout: the code is the same without it",
}


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """A difference of means over blocks with its 95% interval; ``p_holm`` is corrected for all pieces."""

    difference: float | None = None
    ci: Interval | None = None
    p: float | None = None
    p_holm: float | None = None

    @property
    def sign(self) -> int:
        """-1, 0 or 1: the direction that is beyond noise at 5% after the correction, else 0."""
        if self.difference is None or self.p_holm is None or self.p_holm > ALPHA:
            return 0
        return (self.difference > 0) - (self.difference < 0)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the runs of one variant say; ``broken`` is the first broken run in words, ``missing`` counts slots."""

    pieces: tuple[int, ...]
    study: str
    n: int
    missing: int
    seconds: float | None
    loss: float | None
    share: float | None
    share_ci: Interval | None
    reaches: bool
    broken: str = ""

    @property
    def keeps(self) -> bool:
        """It is done, holds the target and keeps 95% of the patch's speedup, as estimated."""
        return (
            not self.missing
            and self.reaches
            and not self.broken
            and self.share is not None
            and self.share >= KEPT
        )

    @property
    def is_sure(self) -> bool:
        """The whole interval of the share is on one side of 95%."""
        return self.share_ci is not None and not self.share_ci[0] < KEPT <= self.share_ci[1]


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """One piece: the patch without it less the whole patch, in seconds and in loss; and the piece alone."""

    piece: int
    label: Label | None
    seconds: Effect
    loss: Effect
    without: Outcome | None
    alone: Outcome | None


class Ablation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the stored stages say; ``search`` is None where there is nothing to keep (``reason``)."""

    submission: str
    pieces: tuple[Piece, ...]
    blocks: int
    runs_planned: int
    runs_stored: int
    baseline_seconds: float | None
    full: Outcome
    gain: Effect
    worths: tuple[Worth, ...]
    tried: tuple[Outcome, ...]
    search: Search | None
    reason: str = ""

    @property
    def best(self) -> Outcome | None:
        """The smallest subset that was found to keep 95%."""
        if self.search is None:
            return None
        wanted = tuple(sorted(self.search.best))
        return next((one for one in self.tried if one.pieces == wanted), self.full)


def judge(
    track: Track, stages: Sequence[Stage], studies: Mapping[str, Study], runs: Iterable[Run]
) -> Ablation:
    """The ablation that these stages (in order, of one submission) and their runs make."""
    tables = _group(runs)
    outcomes = _read_outcomes(track, stages, studies, tables)
    first = stages[0]
    everything = tuple(range(len(first.pieces)))
    full, study = outcomes[everything], studies[first.study]
    reader = _Reader(track, study, tables, first)
    worths = _correct([_weigh(reader, outcomes, k) for k in everything])
    worths = tuple(msgspec.structs.replace(one, label=_label(one, reader)) for one in worths)
    gain = reader.compare(full_arm(first), study.arms[0].name, "seconds")
    search, reason = _search(stages, outcomes, full, gain)
    return Ablation(
        submission=first.submission, pieces=first.pieces, blocks=study.blocks,
        runs_planned=sum(studies[s.study].blocks * len(studies[s.study].arms) for s in stages),
        runs_stored=sum(len(own) for s in stages for (name, _), own in tables.items() if name == s.study),
        baseline_seconds=outcomes[()].seconds, full=full, gain=gain, worths=worths,
        tried=tuple(outcomes.values()), search=search, reason=reason,
    )  # fmt: skip


Tables = dict[tuple[str, str], dict[int, Run]]


def _group(runs: Iterable[Run]) -> Tables:
    """(study, arm) -> block -> run."""
    tables: Tables = {}
    for run in runs:
        if run.exit != "interrupted":
            tables.setdefault((run.study, run.arm), {})[run.block] = run
    return tables


def _read_outcomes(
    track: Track, stages: Sequence[Stage], studies: Mapping[str, Study], tables: Tables
) -> dict[tuple[int, ...], Outcome]:
    """Subset -> its outcome in the first stage that has it."""
    found: dict[tuple[int, ...], Outcome] = {}
    for stage in stages:
        reader = _Reader(track, studies[stage.study], tables, stage)
        for one in stage.variants:
            found.setdefault(one.pieces, reader.read(one))
    return found


class _Reader:
    """Reads the arms of one stage's study against its baseline and its whole patch."""

    def __init__(self, track: Track, study: Study, tables: Tables, stage: Stage) -> None:
        self.track, self.study, self.stage = track, study, stage
        self.own = {arm.name: tables.get((study.id, arm.name), {}) for arm in study.arms}
        self.arms = {one.pieces: one.arm for one in stage.variants}

    def values(self, arm: str, what: str) -> dict[int, float]:
        """Block -> seconds or loss of the usable runs."""
        return {block: getattr(run, what) for block, run in self.own[arm].items() if is_usable(run)}

    def compare(self, first: str, second: str, what: str) -> Effect:
        """mean(second - first); paired by block, but for times where the track's clock is not."""
        one, two = self.values(first, what), self.values(second, what)
        paired = what == "loss" or self.track.clock.paired
        if paired:
            shared = sorted(one.keys() & two.keys())
            one, two = ({block: table[block] for block in shared} for table in (one, two))
        if not one or not two:
            return Effect()
        found = tell_difference(list(two.values()), list(one.values()), paired=paired)
        return Effect(difference=found.difference, ci=found.ci, p=found.p_value)

    def read(self, variant: VariantArm) -> Outcome:
        own = self.own[variant.arm]
        broken = next((say_exit(run) for run in own.values() if not is_usable(run)), "")
        seconds, losses = (list(self.values(variant.arm, what).values()) for what in ("seconds", "loss"))
        share, ci = self._share(variant.arm)
        loss = mean_of(losses)
        return Outcome(
            pieces=variant.pieces, study=self.study.id, n=len(seconds), missing=self.study.blocks - len(own),
            seconds=mean_of(seconds), loss=loss, share=share, share_ci=ci,
            reaches=loss is not None and loss <= self.track.target.loss, broken=broken,
        )  # fmt: skip

    def _share(self, arm: str) -> tuple[float | None, Interval | None]:
        names = (self.study.arms[0].name, arm, full_arm(self.stage))
        tables = [self.values(name, "seconds") for name in names]
        if not all(tables):
            return None, None
        if not self.track.clock.paired:
            found = unpaired_fsr(*(list(table.values()) for table in tables))
            return found.value, found.interval
        shared = sorted(set.intersection(*(set(table) for table in tables)))
        if not shared:
            return None, None
        b, s, full = ([table[block] for block in shared] for table in tables)
        found = paired_ratio(
            [x - y for x, y in zip(b, s, strict=True)], [x - y for x, y in zip(b, full, strict=True)]
        )
        return found.value, found.interval


def _weigh(reader: _Reader, outcomes: Mapping[tuple[int, ...], Outcome], piece: int) -> Worth:
    rest = tuple(k for k in range(len(reader.stage.pieces)) if k != piece)
    full, arm = full_arm(reader.stage), reader.arms.get(rest)
    effects = (
        [Effect(), Effect()] if arm is None else [reader.compare(full, arm, w) for w in ("seconds", "loss")]
    )
    return Worth(
        piece=piece, label=None, seconds=effects[0], loss=effects[1],
        without=outcomes.get(rest), alone=outcomes.get((piece,)),
    )  # fmt: skip


def _correct(worths: Sequence[Worth]) -> list[Worth]:
    """Holm's correction over all pieces, of times and of losses."""
    corrected = list(worths)
    for what in ("seconds", "loss"):
        tested = [k for k, one in enumerate(worths) if getattr(one, what).p is not None]
        for k, p in zip(
            tested, holm([getattr(worths[k], what).p for k in tested]) if tested else (), strict=True
        ):
            effect = msgspec.structs.replace(getattr(corrected[k], what), p_holm=p)
            corrected[k] = msgspec.structs.replace(corrected[k], **{what: effect})
    return corrected


def _label(worth: Worth, reader: _Reader) -> Label | None:
    """What the patch without the piece shows; None until it is measured."""
    without = worth.without
    if without is None or without.missing:
        return None
    if reader.arms[without.pieces] == full_arm(reader.stage):
        return "no code"
    if worth.seconds.sign > 0:
        return "pays"
    if without.broken or not without.reaches:
        return "carries"
    if worth.seconds.sign < 0:
        return "harms"
    return {1: "buys margin", -1: "costs margin", 0: "noise"}[worth.loss.sign]


def _search(
    stages: Sequence[Stage], outcomes: Mapping[tuple[int, ...], Outcome], full: Outcome, gain: Effect
) -> tuple[Search | None, str]:
    """The search for the fewest pieces as far as it got, or why there is none."""
    if any(one.missing for one in outcomes.values()):
        return None, "runs are missing"
    if full.broken or not full.reaches:
        return None, full.broken or f"the whole patch misses the target: mean loss {full.loss:.4f}"
    if gain.ci is None or gain.ci[0] <= 0:
        return (
            None,
            "the whole patch is not faster than the baseline beyond noise: there is no speedup to keep",
        )
    if len(stages[0].pieces) < 2:
        return None, "one piece: it is the whole patch"
    keeps: dict[Subset, bool] = {frozenset(pieces): one.keeps for pieces, one in outcomes.items()}
    keeps |= {frozenset(pieces): False for stage in stages for pieces in stage.refused}
    everything = frozenset(range(len(stages[0].pieces)))
    droppable = {k for k in everything if keeps.get(everything - {k})}
    return minimise(everything, droppable, keeps), ""
