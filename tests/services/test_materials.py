"""How much a patch of a span may bring in, and what is said of one that brings in more."""

from __future__ import annotations

import base64
import random

import pytest
from msgspec.structs import replace

from patchrun.adapters.store import Arena
from patchrun.core import added
from patchrun.core.selection import Span
from patchrun.services import importer, materials, tournament
from patchrun.services.control import run_control
from tests.attacks.ground import at_bottom, pocket


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    folder = tmp_path_factory.mktemp("pocket") / "arena"
    importer.init(folder, "pocket")
    return Arena.open(folder)


def set_limit(arena: Arena, limit: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = replace(arena.track.limits, added_bytes=limit)
    monkeypatch.setitem(arena.__dict__, "track", replace(arena.track, limits=limits))


def data_of(size: int) -> bytes:
    text = base64.b85encode(random.Random(1).randbytes(size)).decode()
    lines = "\n".join(f"T{at} = {text[at : at + 70]!r}" for at in range(0, len(text), 70))
    return at_bottom(lines)(pocket().text)


def test_the_limit_is_the_tracks(arena: Arena) -> None:
    assert materials.find_limit(arena, Span(9, 9)) == arena.track.limits.added_bytes == 7600


def test_no_human_patch_of_the_ladder_needs_a_third_of_it(arena: Arena) -> None:
    humans = [materials.measure_human(arena, Span(number, number)) for number in range(1, 10)]
    assert max(humans) == humans[5] < 1200
    assert added.TIMES_HUMAN * max(humans) < 7600
    assert all(row.accepted for row in run_control(arena))


def test_a_span_may_bring_in_three_times_its_own_human_patch(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_limit(arena, 100, monkeypatch)
    human = materials.measure_human(arena, Span(1, 9))
    assert human > materials.measure_human(arena, Span(6, 6))
    assert materials.find_limit(arena, Span(1, 9)) == 3 * human
    diff = arena.repo.diff(arena.baseline(1), arena.human(9) or "")
    assert tournament.validate(arena, diff, Span(1, 9)).accepted
    small = arena.repo.diff(arena.baseline(6), arena.human(6) or "")
    assert tournament.validate(arena, small, Span(6, 6)).accepted


def test_a_track_without_a_limit_takes_three_times_its_largest_human_patch(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_limit(arena, None, monkeypatch)
    assert materials.find_limit(arena, Span(9, 9)) == added.LEAST_LIMIT
    monkeypatch.setattr(added, "LEAST_LIMIT", 10)
    assert materials.find_limit(arena, Span(9, 9)) == 3 * materials.measure_human(arena, Span(6, 6))


def test_a_record_without_code_has_no_human_patch(arena: Arena) -> None:
    assert materials.measure_human(arena, Span(9, 10)) == 0


def test_what_is_too_much_is_rejected_with_the_figures(arena: Arena) -> None:
    found = tournament.validate(arena, data_of(9000), Span(9, 9))
    [finding] = [one for one in found.findings if one.severity == "error"]
    assert finding.code == "PR509"
    assert "at most 7600 are allowed" in finding.message
    assert finding.line is not None
    assert b"T" in (arena.repo.read(f"{found.tree}:train_gpt.py").splitlines()[finding.line - 1])[:1]


def test_a_chain_counts_as_a_whole(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the data at a time: the second half is rejected with the first below it."""
    set_limit(arena, 5000, monkeypatch)
    first = tournament.hand_in(arena, data_of(3500), Span(9, 9), "ada").attempt
    assert first.accepted
    commit = arena.submission(first.id)
    both = tournament.validate(arena, data_of(7000), Span(9, 9)).tree or ""
    second = arena.repo.diff(commit, both)
    assert added.measure(materials.read_changes(arena, commit, both)) < 5000
    found = tournament.validate(arena, second, Span(9, 9), tournament.Ground(Span(9, 9), commit, first))
    assert {one.code for one in found.findings if one.severity == "error"} == {"PR509"}
