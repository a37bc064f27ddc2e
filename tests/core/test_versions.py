"""Where arenas that ran apart hold several values a name, both sides choose the same one."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from patchrun.core.results import Attempt, Ruling, Run
from patchrun.core.versions import Version, number, settle, settle_runs, strongest
from tests.core.test_plan import MACHINE

ATTEMPT = Attempt(
    id="a", track="plain", track_digest="t", record="1", agent="ada", accepted=True, baseline_commit="b",
    created="2026-01-01", sequence=1,
)  # fmt: skip


def attempt(**changes: object) -> Attempt:
    return msgspec.structs.replace(ATTEMPT, **changes)


def run(block: int, position: int, host: str, started: str, seconds: float = 1.0) -> Version[Run]:
    value = Run(
        study="s", arm=f"arm{position}", kind="submission", record="1", block=block, position=position, seed=block,
        exit="ok", clock="cpu", seconds=seconds, sandbox="none", machine=msgspec.structs.replace(MACHINE, host=host),
        commit="c", tree="t", track_digest="t", tool_version="0", started=started,
    )  # fmt: skip
    return Version(f"runs/arm{position}/s-b{block}", f"{host}{started}", value)


def hosts(versions: list[Version[Run]]) -> set[str]:
    """The machines of the settled runs, which do not depend on the order in which versions come."""
    settled = [
        sorted((run.arm, run.block, run.machine.host) for run in settle_runs(list(order)))
        for order in itertools.islice(itertools.permutations(versions), 200)
    ]
    assert all(one == settled[0] for one in settled)
    names = [(arm, block) for arm, block, _ in settled[0]]
    assert len(set(names)) == len(names)
    return {host for _, _, host in settled[0]}


def test_the_attempt_that_was_made_first_is_kept() -> None:
    early, late = attempt(created="2026-01-01"), attempt(created="2026-01-02")
    versions = [Version("attempts/a", "2", late), Version("attempts/a", "1", early)]
    assert settle(versions) == settle(versions[::-1]) == [early]


def test_of_two_made_at_one_moment_the_commit_decides() -> None:
    versions = [
        Version("attempts/a", "2", attempt(agent="x")),
        Version("attempts/a", "1", attempt(agent="y")),
    ]
    assert [one.agent for one in settle(versions)] == [one.agent for one in settle(versions[::-1])] == ["y"]


def test_without_contest_all_are_kept_in_order() -> None:
    values = [attempt(id=name) for name in "bca"]
    assert settle([Version(f"attempts/{value.id}", "1", value) for value in values]) == values


def test_a_contested_block_is_the_one_that_began_first() -> None:
    assert hosts([run(0, p, h, t) for h, t in (("x", "2"), ("y", "1")) for p in range(3)]) == {"y"}


def test_a_block_is_never_put_together_from_two_machines() -> None:
    whole = [run(0, p, "x", f"2{p}") for p in range(3)]
    part = [run(0, 0, "y", "11"), run(0, 1, "y", "30")]
    assert hosts(whole + part) == {"x"}


def test_blocks_without_contest_stay_where_they_ran() -> None:
    versions = [run(0, 0, "x", "1"), run(1, 0, "y", "2"), run(2, 0, "x", "3"), run(2, 0, "y", "4")]
    assert [one.machine.host for one in sorted(settle_runs(versions), key=lambda one: one.block)] == [
        "x",
        "y",
        "x",
    ]


def test_a_slot_that_one_machine_ran_twice_counts_as_it_first_was() -> None:
    [kept] = settle_runs([run(0, 0, "x", "2", 5.0), run(0, 0, "x", "1", 9.0)])
    assert kept.seconds == 9.0


def test_attempts_are_numbered_by_agent_and_record() -> None:
    values = [
        attempt(id="b", created="2", sequence=1), attempt(id="a", created="1", sequence=1),
        attempt(id="c", created="3", sequence=1, record="2"), attempt(id="d", created="4", sequence=7, agent="bob"),
    ]  # fmt: skip
    assert [(one.id, one.sequence) for one in number(values)] == [("a", 1), ("b", 2), ("c", 1), ("d", 1)]


@pytest.mark.parametrize("order", [1, -1])
def test_a_disqualification_decides_and_names_the_withdrawal(order: int) -> None:
    rulings = [
        Ruling(submission="a", ruling="withdrawn", reason="mine", by="ada", created="1"),
        Ruling(submission="a", ruling="disqualified", reason="cheats", by="owner", created="2"),
        Ruling(submission="b", ruling="withdrawn", reason="old", by="bob", created="3"),
    ][::order]
    found = strongest(rulings)
    assert (found["a"].ruling, found["a"].reason) == ("disqualified", "cheats (also withdrawn by ada: mine)")
    assert (found["b"].ruling, found["b"].reason) == ("withdrawn", "old")
