"""The shipped manifest of the real ladder: whole, consistent with itself, and with the published figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from patchrun.core.ladder import Ladder, Place
from patchrun.core.ladderstats import all_totals, build_rows
from patchrun.core.outlook import find_obstacle
from patchrun.core.progress import planned_blocks
from patchrun.core.readiness import allowed_processes, needed_fetches
from patchrun.core.selection import Span
from patchrun.core.track import Track
from patchrun.services.importer import find_track, read_track

SOURCE = read_track(find_track("nanogpt"))


@pytest.fixture
def ladder() -> Ladder:
    return SOURCE.ladder


@pytest.fixture
def track() -> Track:
    return SOURCE.track


def solution(ladder: Ladder, number: int) -> Place:
    place = ladder.get(number).solution
    assert place is not None
    return place


def files_of(ladder: Ladder, place: Place | None) -> dict[str, str]:
    """Digest by name, references to another record followed."""
    assert place is not None
    return files_of(ladder, ladder.get(place.record).solution) if place.record else place.files


def test_89_records_and_the_published_totals(ladder: Ladder) -> None:
    march, end = all_totals(ladder)
    assert (march.until, march.records, round(march.speedup or 0, 1)) == ("2026-03-06", 77, 31.4)
    assert (end.records, round(end.speedup or 0, 1), end.ai_credited) == (89, 36.6, (32, 60, 69, 72, 87))


def test_all_but_two_records_have_a_baseline(ladder: Ladder) -> None:
    without = [
        record.number for record in ladder.record if record.baseline and record.baseline.kind == "none"
    ]
    assert without == [1, 2]
    assert all(solution(ladder, record.number).kind in ("tree", "log") for record in ladder.record[1:])


def test_every_file_is_pinned_and_named_as_the_script_was(ladder: Ladder, track: Track) -> None:
    for record in ladder.record[2:]:
        script = track.at_record(record.number).launch.script
        for place in (record.baseline, record.solution):
            files = files_of(ladder, place)
            assert script in files, record.number
            assert "run.sh" in files
    assert track.at_record(17).launch.script == "train_gpt2.py"
    assert track.at_record(18).launch.script == "train_gpt.py"


def test_only_environment_records_change_no_script(ladder: Ladder) -> None:
    def scripts(place: Place | None) -> dict[str, str]:
        return {name: digest for name, digest in files_of(ladder, place).items() if name.endswith(".py")}

    same = [
        record.number for record in ladder.record[2:] if scripts(record.baseline) == scripts(record.solution)
    ]
    assert same == [record.number for record in ladder.record if record.environment_only] == [7, 25, 66]


def test_a_baseline_is_the_last_human_code_but_for_four_records(ladder: Ladder) -> None:
    others = {
        record.number for record in ladder.record[2:] if record.baseline and record.baseline.kind != "record"
    }
    assert others == {18, 22, 25, 27}
    renamed = files_of(ladder, ladder.get(18).baseline)["train_gpt.py"]
    assert renamed == solution(ladder, 17).files["train_gpt2.py"]


def test_the_base_of_record_22_is_the_retiming(ladder: Ladder) -> None:
    row = build_rows(ladder, 3.28, [])[21]
    assert row.gain_seconds == pytest.approx(1.44)
    assert "retimed-base" in row.hazards
    before = build_rows(replace(ladder, record=tuple(
        replace(record, baseline_seconds=None) for record in ladder.record)), 3.28, [])[21]  # fmt: skip
    assert before.gain_seconds is not None
    assert before.gain_seconds < 0


def test_every_record_but_those_without_logs_names_its_logs(ladder: Ladder) -> None:
    without = [record.number for record in ladder.record if record.logs is None]
    assert without == [3, 66, 86] == [record.number for record in ladder.record if "no-log" in record.hazards]
    for record in ladder.record:
        if record.logs:
            assert any(record.logs.linked.startswith(folder) for folder in record.logs.folders)
            assert bool(record.logs.code) == (record.number > 2)
            assert not set(record.logs.code) & set(record.logs.baseline_code)


def test_no_folder_of_logs_belongs_to_two_records(ladder: Ladder) -> None:
    folders = [folder for record in ladder.record if record.logs for folder in record.logs.folders]
    assert len(folders) == len(set(folders))


def test_every_record_with_code_has_launch_facts(ladder: Ladder) -> None:
    for record in ladder.record[1:]:
        eras = [era for era in ladder.era if era.first <= record.number <= era.last]
        assert len(eras) == 1, record.number
        assert all("==" in package for package in eras[0].packages)
        assert any(package.startswith("torch==") for package in eras[0].packages)
    assert [ladder.era_of(number).processes for number in (14, 15, 16, 26, 27)] == [  # type: ignore[union-attr]
        (1, 2, 4, 8), (8,), (1, 2, 4, 8), (8,), (1, 2, 4, 8),
    ]  # fmt: skip


def test_hazards_that_are_explained_are_used(ladder: Ladder) -> None:
    used = {hazard for record in ladder.record for hazard in record.hazards}
    assert used == set(ladder.hazard)


def test_the_rule_and_the_guards(track: Track) -> None:
    assert (track.target.loss, track.rule.kind, track.rule.alpha) == (3.28, "t-test", 0.01)
    assert (track.hardware.gpus, track.evidence.kind, track.data.val_tokens) == (8, "log", 10_485_760)
    early = {guard.name: guard.severity for guard in track.at_record(12).edit.guards}
    late = {guard.name: guard.severity for guard in track.at_record(60).edit.guards}
    assert (early["inductor settings"], late["inductor settings"]) == ("review", "error")
    assert (early["validation tokens"], late["data loader"]) == ("error", "review")
    assert set(early) == set(late)


def test_nothing_of_upstream_but_facts_is_shipped() -> None:
    names = {path.name for path in Path(SOURCE.folder).rglob("*") if path.is_file()}
    assert names <= {"track.toml", "records.toml", "README.md", "labels.toml", "race.csv"}
    text = (SOURCE.folder / "records.toml").read_text()
    assert max(len(line) for line in text.splitlines()) < 200
    assert "import " not in text.replace("an import must", "")


def test_the_rule_looks_more_than_once_and_plans_by_the_margin(track: Track) -> None:
    assert (track.rule.kind, track.rule.alpha, track.rule.looks) == ("t-test", 0.01, (5, 9, 16, 25))
    assert [planned_blocks(track.rule, margin) for margin in (0.006, 0.0033, 0.002, 0.001, None)] == [
        5,
        9,
        16,
        25,
        25,
    ]


def test_what_scripts_fetch_is_named_from_the_record_on_that_fetches_it(ladder: Ladder) -> None:
    def fetches(number: int) -> tuple[list[str], list[str]]:
        return needed_fetches(ladder, Span(number, number))

    assert fetches(37) == ([], [])
    assert fetches(38) == fetches(82) == (["varunneal/flash-attention-3"], [])
    assert fetches(83) == (["kernels-community/flash-attn3@1", "varunneal/flash-attention-3"], [])
    assert fetches(84) == (["kernels-community/flash-attn3@1"], [])
    assert fetches(88)[1] == ["gpt2"]


def test_process_counts_suit_both_arms(ladder: Ladder) -> None:
    counts = {number: allowed_processes(ladder, Span(number, number)) for number in range(3, 90)}
    assert all(8 in allowed for allowed in counts.values())
    assert counts[12] == [1, 2, 4, 8]
    assert counts[16] == [8], "its baseline, record 15's code, accepts eight only"
    assert counts[27] == [8] and counts[28] == [1, 2, 4, 8]


def test_what_is_unscorable_by_published_times_alone(ladder: Ladder, track: Track) -> None:
    code = [f"refs/patchrun/human/{record.number}" for record in ladder.record]
    rows = build_rows(ladder, track.target.loss, code)
    found = {n: why for n in range(3, 90) if (why := find_obstacle(ladder, rows, Span(n, n)))}
    assert {n for n, why in found.items() if "only its environment" in why} == {7, 25, 66}
    assert {23, 28, 38, 47, 68, 87} <= set(found)
    assert not {12, 22, 30, 62, 89} & set(found)
    assert find_obstacle(ladder, rows, Span(66, 68)) == ""
