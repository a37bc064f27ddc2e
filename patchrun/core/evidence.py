"""Which runs of a study count, what is missing, what is broken: the facts under a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from patchrun.core.results import Arm, Run, Study, VerdictName
from patchrun.core.stats import HUGE, TINY
from patchrun.core.track import Track


class BlockTimes(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Seconds of the three arms in one block; ``human`` is None where the record has no human patch."""

    block: int
    baseline: float
    submission: float
    human: float | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The counted runs of one study, by arm, in block order; ``missing`` pairs each empty slot's arm and block."""

    track: Track
    study: Study
    baseline: list[Run]
    human: list[Run]
    submission: list[Run]
    missing: tuple[tuple[Arm, int], ...]
    has_human: bool

    @property
    def references(self) -> dict[str, list[Run]]:
        arms = {"baseline": self.baseline}
        return arms | {"human": self.human} if self.has_human else arms

    @property
    def references_full(self) -> bool:
        """Every slot of the reference arms has its run, and no arm is empty."""
        return all(self.references.values()) and all(arm.kind == "submission" for arm, _ in self.missing)


def collect(track: Track, study: Study, runs: Iterable[Run], arm: str) -> Evidence:
    """The counted runs for submission ``arm``: one a slot, of this track, interrupted ones left out.

    Of an unpaired track, reference runs of other studies count too, if their hardware class is this study's.
    ValueError when the study has no such arm.
    """
    wanted = [a for a in study.arms if a.kind != "submission" or a.name == arm]
    if not any(a.name == arm for a in wanted):
        raise ValueError(f"study {study.id} has no arm {arm}")
    fresh = [r for r in runs if r.track_digest == study.track_digest and r.exit != "interrupted"]
    own = [r for r in fresh if r.study == study.id and r.block < study.blocks]
    counted = own if track.clock.paired else own + _reused(fresh, study, own)
    by_arm: dict[str, list[Run]] = {"baseline": [], "human": [], "submission": []}
    first_of_slot = {(r.study, r.arm, r.block): r for r in reversed(counted)}
    for run in sorted(first_of_slot.values(), key=lambda r: (r.study != study.id, r.block, r.position)):
        if run.kind != "submission" or run.arm == arm:
            by_arm[run.kind].append(run)
    has_human = bool(by_arm["human"]) or any(a.kind == "human" for a in wanted)
    return Evidence(
        track=track, study=study, missing=_missing(study, wanted, own), has_human=has_human, **by_arm
    )  # fmt: skip


def _reused(runs: Iterable[Run], study: Study, own: Sequence[Run]) -> list[Run]:
    classes = {run.machine.hardware_class for run in own}
    return [
        r
        for r in runs
        if r.study != study.id and r.kind != "submission" and r.record == study.record
        and r.machine.hardware_class in classes
    ]  # fmt: skip


def _missing(study: Study, arms: Iterable[Arm], own: Iterable[Run]) -> tuple[tuple[Arm, int], ...]:
    full = {(run.arm, run.block) for run in own}
    return tuple(
        (arm, block) for block in range(study.blocks) for arm in arms if (arm.name, block) not in full
    )


def keep_blocks(evidence: Evidence, blocks: Iterable[int]) -> Evidence:
    """The evidence of these blocks of the study alone, nothing missing; reused runs stay."""
    kept = set(blocks)

    def pick(runs: list[Run]) -> list[Run]:
        return [r for r in runs if r.block in kept or r.study != evidence.study.id]

    return msgspec.structs.replace(
        evidence, baseline=pick(evidence.baseline), human=pick(evidence.human), submission=pick(evidence.submission),
        missing=(),
    )  # fmt: skip


def is_usable(run: Run) -> bool:
    """The run ended well, with positive seconds and a finite loss, neither beyond what statistics can square."""
    if run.exit != "ok" or run.seconds is None or run.loss is None:
        return False
    return TINY < run.seconds < HUGE and abs(run.loss) < HUGE


def seconds_of(runs: Iterable[Run]) -> list[float]:
    """The times of the usable runs."""
    return [run.seconds for run in runs if run.seconds is not None and is_usable(run)]


def losses_of(runs: Iterable[Run]) -> list[float]:
    """The losses of the usable runs."""
    return [run.loss for run in runs if run.loss is not None and is_usable(run)]


def mean_of(values: Sequence[float]) -> float | None:
    """The mean, or None of nothing."""
    return sum(values) / len(values) if values else None


def broken_run(runs: Iterable[Run]) -> tuple[VerdictName, str] | None:
    """Verdict and words for the first unusable run: failed, timed-out, disqualified, stopped in this order."""
    named: dict[str, VerdictName] = {
        "timed-out": "timed-out",
        "disqualified": "disqualified",
        "stopped": "stopped",
    }
    found = [(named.get(run.exit, "failed"), run) for run in runs if not is_usable(run)]
    for verdict in ("failed", "timed-out", "disqualified", "stopped"):
        for given, run in found:
            if given == verdict:
                return given, say_exit(run)
    return None


def say_exit(run: Run) -> str:
    """Which run ended how, in one line; blocks are counted from 1 for people."""
    said = run.reason or ("no finite loss or no positive time" if run.exit == "ok" else run.exit)
    return f"{run.kind}, block {run.block + 1}, seed {run.seed}: {said}"


def independent_runs(track: Track, runs: Iterable[Run]) -> list[Run]:
    """The runs without repeats: one a seed and, where losses are exact numbers, one a loss.

    Losses read from a log are rounded to a few digits, so equal ones are no sign of a repeat there.
    """
    seeds: set[int] = set()
    losses: set[float | None] = set()
    kept = []
    for run in runs:
        repeated = run.seed in seeds or (track.evidence.kind == "model" and run.loss in losses)
        seeds.add(run.seed)
        losses.add(run.loss)
        if not repeated:
            kept.append(run)
    return kept


def complete_blocks(evidence: Evidence) -> tuple[BlockTimes, ...]:
    """Blocks in which every arm has a usable run.

    Of an unpaired track, blocks of the submission with the reference arms' means beside them.
    """
    if not evidence.track.clock.paired:
        return _unpaired_blocks(evidence)
    arms = evidence.references | {"submission": evidence.submission}
    tables = {name: {r.block: r.seconds for r in runs if is_usable(r)} for name, runs in arms.items()}
    shared = sorted(set.intersection(*(set(table) for table in tables.values())))
    human = tables.get("human", {})
    return tuple(BlockTimes(k, tables["baseline"][k], tables["submission"][k], human.get(k)) for k in shared)


def _unpaired_blocks(evidence: Evidence) -> tuple[BlockTimes, ...]:
    means = {name: mean_of(seconds_of(runs)) for name, runs in evidence.references.items()}
    if None in means.values():
        return ()
    usable = [r for r in evidence.submission if is_usable(r)]
    return tuple(BlockTimes(r.block, means["baseline"], r.seconds, means.get("human")) for r in usable)
