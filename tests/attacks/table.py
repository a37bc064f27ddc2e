"""The suite's score as a page: cases, what became of them, and by what evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import get_args

from tabulate import tabulate

from tests.attacks import (
    clock_cases,
    diff_cases,
    guard_cases,
    probe_cases,
    run_cases,
    start_cases,
    sync_cases,
)
from tests.attacks.case import GROUPS, TITLES, Case, Outcome, group_of
from tests.attacks.twins import TWINS

CASES: tuple[Case, ...] = (
    *diff_cases.CASES,
    *guard_cases.GUARDED,
    *run_cases.TRAININGS,
    *run_cases.MODELS,
    *sync_cases.CASES,
    *clock_cases.CASES,
    *probe_cases.CASES,
    *start_cases.STARTS,
)
HEADS: dict[Outcome, str] = {
    "static": "rejected",
    "run": "stopped at run time",
    "harmless": "harmless",
    "sandbox": "needs the sandbox",
    "review": "flagged",
    "not caught": "not caught",
}
INTRO = """\
# Attack suite

Made by `python -m tests.attacks`; a test checks that it is current, and `tests/attacks` tries every line of it.

32 attacks in six groups, each in one or more spellings. The first outcome that holds is given:

- **rejected**: the validator refuses the diff.
- **stopped at run time**: the run fails or is disqualified, or the result is refused.
- **harmless**: it runs, and gains nothing.
- **needs the sandbox**: only a sandbox that hides files and processes stops it, not the filter of system calls.
- **flagged**: the diff passes with a finding that asks a person; what it then does may be harmless all the same.
- **not caught**: `SECURITY.md` names each, with the reason."""


def to_markdown() -> str:
    """The text of `docs/attacks.md`."""
    parts = [
        INTRO,
        "## Score",
        _grid(_score_rows(), ("group", "attacks", "spellings", *HEADS.values())),
        f"Beside them {len(TWINS)} honest patches that look similar, and the human patches of the pocket ladder, "
        "all of which pass.",
        "## Attacks",
        _grid(_attack_rows(), ("no", "attack", *HEADS.values())),
        "## Spellings",
        _grid(_spelling_rows(), ("no", "spelling", "outcome", "evidence")),
    ]
    return "\n\n".join(parts) + "\n"


def named(outcome: Outcome) -> list[Case]:
    return [case for case in CASES if case.outcome == outcome]


def _score_rows() -> Iterable[tuple[object, ...]]:
    for letter, (title, numbers) in GROUPS.items():
        cases = [case for case in CASES if group_of(case.number) == letter]
        yield f"{letter} {title}", len(numbers), len(cases), *_count(cases)
    yield "all", len(TITLES), len(CASES), *_count(CASES)


def _attack_rows() -> Iterable[tuple[object, ...]]:
    for number, title in TITLES.items():
        yield number, title, *_count(case for case in CASES if case.number == number)


def _spelling_rows() -> Iterable[tuple[object, ...]]:
    for case in sorted(CASES, key=lambda case: (case.number, case.name)):
        on = f" ({case.on})" if isinstance(case, diff_cases.DiffCase) and case.on != "pocket" else ""
        evidence = f"{case.exit}: {case.evidence}" if _fails(case) else case.evidence
        yield (
            case.number,
            case.name + on,
            HEADS[case.outcome],
            evidence.replace("|", " or ").replace("\\", ""),
        )


def _fails(case: Case) -> bool:
    return isinstance(case, run_cases.TrainingCase | start_cases.StartCase) and case.outcome == "run"


def _count(cases: Iterable[Case]) -> list[object]:
    counts = Counter(case.outcome for case in cases)
    return [counts[outcome] or "" for outcome in HEADS]


def _grid(rows: Iterable[tuple[object, ...]], headers: tuple[str, ...]) -> str:
    assert set(HEADS) == set(get_args(Outcome))
    return tabulate(list(rows), headers, tablefmt="github")
