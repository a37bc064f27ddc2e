"""Literal results for tests of pure code: tracks, studies, runs, attempts, with a figure or two set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from patchrun.core.picks import Entry
from patchrun.core.results import Arm, Attempt, Machine, Run, Study
from patchrun.core.scoring import Score
from patchrun.core.stats import Interval
from patchrun.core.track import Track
from patchrun.core.transcripts import Transcript
from patchrun.core.usage import Usage

SUBMISSION = "5ub0" * 5


def make_track(**changes: Any) -> Track:
    """A pocket-like track: target 3.75, mean rule over 5 blocks; ``changes`` replace whole tables."""
    tables: dict[str, Any] = {
        "version": 1, "name": "pocket", "title": "test",
        "target": {"loss": 3.75}, "rule": {"kind": "mean", "blocks": 5},
        "clock": {"source": "cpu"}, "seeds": {"public": [1], "deterministic": True},
        "limits": {"wall_seconds": 60, "memory_mb": 512, "file_mb": 8, "model_mb": 1},
        "hardware": {"device": "cpu"}, "edit": {"paths": ["train.py"]}, "launch": {"script": "train.py"},
        "evidence": {"kind": "model", "vocab_size": 16, "context": 8}, "data": {"source": "shards"},
    }  # fmt: skip
    return msgspec.convert(tables | changes, Track)


def make_machine(hardware_class: str = "cpu-a") -> Machine:
    return Machine(
        host="h", cpu="c", cores=2, torch="2.13.0", python="3.11", kernel="6", hardware_class=hardware_class
    )


def make_arm(name: str, kind: str) -> Arm:
    return Arm(name=name, kind=kind, commit="c" * 40, tree="t" * 40, ast_digest=name)


def make_study(
    submissions: Sequence[str] = (SUBMISSION,),
    *,
    record: str = "5",
    blocks: int = 5,
    human: bool = True,
    id: str = "study",
) -> Study:
    arms = [make_arm(f"b{record}", "baseline")] + ([make_arm(f"h{record}", "human")] if human else [])
    arms += [make_arm(name, "submission") for name in submissions]
    return Study(
        id=id, track="pocket", track_digest="d", record=record, arms=tuple(arms), created="2026-01-01",
        seeds=tuple(100 + k for k in range(blocks)),
    )  # fmt: skip


def make_run(kind: str, block: int, seconds: float | None, loss: float | None, **changes: Any) -> Run:
    names = {"baseline": "b5", "human": "h5", "submission": SUBMISSION}
    values: dict[str, Any] = {
        "study": "study", "arm": names[kind], "kind": kind, "record": "5", "block": block, "position": 0,
        "seed": 100 + block, "exit": "ok", "clock": "cpu", "seconds": seconds, "loss": loss, "sandbox": "bubblewrap",
        "wall_seconds": None if seconds is None else seconds * 1.1, "machine": make_machine(), "commit": "c" * 40,
        "tree": "t" * 40, "track_digest": "d", "tool_version": "0", "started": "2026-01-01",
    }  # fmt: skip
    return Run(**(values | changes))


def make_runs(kind: str, seconds: Sequence[float], losses: Sequence[float], **changes: Any) -> list[Run]:
    """One run a block."""
    return [make_run(kind, k, s, x, **changes) for k, (s, x) in enumerate(zip(seconds, losses, strict=True))]


BASELINE = (10.0, 10.2, 9.9, 10.1, 10.3)
HUMAN = (8.0, 8.1, 7.9, 8.2, 8.1)
GOOD = (3.70, 3.72, 3.71, 3.73, 3.74)


def make_reference() -> list[Run]:
    """A good baseline and human arm over five blocks."""
    return make_runs("baseline", BASELINE, GOOD) + make_runs("human", HUMAN, GOOD)


def make_attempt(agent: str = "ada", record: str = "5", sequence: int = 1, **changes: Any) -> Attempt:
    values: dict[str, Any] = {
        "id": f"{agent}-{record}-{sequence}", "track": "pocket", "track_digest": "d", "record": record, "agent": agent,
        "accepted": True, "baseline_commit": "c" * 40, "created": f"2026-01-01T00:00:{sequence:02d}",
        "sequence": sequence,
    }  # fmt: skip
    return Attempt(**(values | changes))


def make_score(fsr: float | None = None, ci: Interval | None = None, **changes: Any) -> Score:
    """A valid score of a study of its own (interval +- 0.1 unless given), or another verdict without numbers."""
    values: dict[str, Any] = {"state": "done", "verdict": "valid" if fsr is not None else "missed-target"}
    values |= {
        "clock": "cpu",
        "paired": False,
        "scorable": True,
        "gap_log": 0.2,
        "n_blocks": 5,
        "study": "own",
    }
    if fsr is not None:
        values |= {"fsr": fsr, "fsr_ci": ci or (fsr - 0.1, fsr + 0.1)}
        values |= {
            "speedup": math.exp(0.2 * fsr),
            "speedup_ci": (math.exp(0.2 * fsr - 0.02), math.exp(0.2 * fsr + 0.02)),
        }
    return Score(**(values | changes))


def make_plain(speedup: float, ci: Interval = (1.0, 2.0)) -> Score:
    """A valid score on a record without a human patch."""
    return make_score(verdict="valid", gap_log=None, speedup=speedup, speedup_ci=ci)


def make_entry(agent: str, record: str, fsr: float | None = None, sequence: int = 1, **changes: Any) -> Entry:
    """An attempt with its score."""
    return make_attempt(agent, record, sequence), make_score(fsr, **changes)


def make_transcript(**changes: Any) -> Transcript:
    """A proposal that ended well."""
    values = {
        "id": "t1", "search": "s1", "number": 1, "track": "tiny", "track_digest": "d", "record": "2", "agent": "ada",
        "kind": "claude", "model": "m", "scaffold": "flat", "outcome": "proposed", "usage": Usage(90, 10),
        "usd": 0.25, "wall_seconds": 3.0, "created": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return Transcript(**(values | changes))
