"""The rubric and the labels as data: what they may say, and that those that ship are whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchrun.core.errors import ManifestError
from patchrun.core.labels import DEPTHS, PROVENANCES, LabelBook, LabelRubric, load_label_rubric, load_labels
from patchrun.core.ladder import Ladder, Record, load_ladder

ROOT = Path(__file__).parents[2]
RUBRIC = (ROOT / "patchrun" / "prompts" / "labels.toml").read_text()
HEAD = 'version = 1\nby = "Ada"\ndate = "2026-11-22"\n'
LABEL = '[[label]]\nrecord = {}\ndepth = "Deep"\nprovenance = "Invented"\nreason = "a new memory"\n'


def ladder(records: int = 3) -> Ladder:
    made = [
        Record(number=n, date="2026-01-01", by="Ada", summary="s", published_seconds=10.0 / n)
        for n in range(1, records + 1)
    ]
    return Ladder(version=1, record=tuple(made))


def shipped(track: str) -> tuple[Ladder, LabelBook]:
    folder = ROOT / "baselines" / track
    records = load_ladder((folder / "records.toml").read_text())
    return records, load_labels((folder / "labels.toml").read_text(), records)


def rubric() -> LabelRubric:
    return load_label_rubric(RUBRIC)


def test_the_rubric_defines_every_label_with_tests_and_examples() -> None:
    found = rubric()
    assert {grade.name for grade in found.depth} == set(DEPTHS)
    assert {grade.name for grade in found.provenance} == set(PROVENANCES)
    for grade in (*found.depth, *found.provenance):
        assert len(grade.definition) > 100 and len(grade.tests) >= 2 and grade.examples


def test_between_neighbours_there_is_a_test_on_either_side() -> None:
    for scale in (rubric().depth, rubric().provenance):
        names = [grade.name for grade in scale]
        for grade, other in zip(scale, names[1:], strict=False):
            asked = " ".join(grade.tests) + " ".join(scale[names.index(other)].tests)
            assert f"Against {other}" in asked or f"Against {grade.name}" in asked


def test_the_digest_names_the_wording() -> None:
    other = load_label_rubric(RUBRIC.replace("Values, amounts", "Values, numbers"))
    assert other.digest != rubric().digest
    assert load_label_rubric(RUBRIC + "\n# a comment\n").digest == rubric().digest


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('name = "Deep"', 'name = "Deeper"', "a scale must define Breakthrough, Deep, Moderate, Shallow, each once"),
        ('name = "Adapted"', 'name = "Imported"', "a scale must define Invented, Adapted, Imported"),
        ("closeness =", "closness =", "unknown key; did you mean closeness?"),
    ],
)  # fmt: skip
def test_a_broken_rubric_is_refused_by_key(old: str, new: str, problem: str) -> None:
    with pytest.raises(ManifestError) as raised:
        load_label_rubric(RUBRIC.replace(old, new))
    assert problem in str(raised.value)


def test_a_label_inherits_who_and_when() -> None:
    book = load_labels(
        HEAD + LABEL.format(2) + LABEL.format(3) + 'by = "Grace"\ndate = "2026-11-23"\n', ladder()
    )
    assert (book.of(2).by, book.of(2).date, book.of(2).depth) == ("Ada", "2026-11-22", "Deep")
    assert (book.of(3).by, book.of(3).date) == ("Grace", "2026-11-23")
    assert book.of(1).depth is None and "nobody" in book.of(1).unlabelled


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (LABEL.format(4), "no record 4 in the ladder"),
        (LABEL.format(2) + LABEL.format(1), "in the order of their records"),
        (LABEL.format(1) + LABEL.format(1), "each once"),
        (LABEL.format(1).replace("Deep", "Profound"), "Expected 'Breakthrough' or 'Deep' or 'Moderate' or 'Shallow'"),
        (LABEL.format(1).replace('reason = "a new memory"\n', ""), "needs depth, provenance and reason"),
        (LABEL.format(1) + 'unlabelled = "why"\n', "or only unlabelled"),
        (LABEL.format(1) + 'close_depth = "Deep"\n', "a close label must be another one"),
        (LABEL.format(1) + 'close_provenance = "Invented"\n', "a close label must be another one"),
        (LABEL.format(1).replace("a new", "a\\nnew"), "the reason must be one line"),
        (LABEL.format(1) + "depht = 1\n", "unknown key; did you mean depth?"),
    ],
)  # fmt: skip
def test_a_broken_label_is_refused_by_key(labels: str, problem: str) -> None:
    with pytest.raises(ManifestError) as raised:
        load_labels(HEAD + labels, ladder())
    assert problem in str(raised.value)


@pytest.mark.parametrize(("track", "unlabelled"), [("nanogpt", [1]), ("pocket", [])])
def test_every_record_that_ships_has_a_label_and_a_reason(track: str, unlabelled: list[int]) -> None:
    records, book = shipped(track)
    assert [label.record for label in book.label] == [record.number for record in records.record]
    assert [label.record for label in book.label if label.unlabelled] == unlabelled
    for label in map(book.of, range(1, len(records.record) + 1)):
        assert label.by and label.date >= "2026-11-22"
        assert 10 < len(label.reason or label.unlabelled) < 150


def test_reasons_are_our_own_words_and_no_two_say_the_same() -> None:
    records, book = shipped("nanogpt")
    reasons = [label.reason for label in book.label if label.reason]
    assert len(set(reasons)) == len(reasons) == 88
    summaries = {record.summary.lower() for record in records.record}
    assert not summaries & {reason.lower() for reason in reasons}


def test_code_that_did_not_change_is_shallow_and_imported() -> None:
    records, book = shipped("nanogpt")
    same = [record.number for record in records.record if record.environment_only]
    assert len(same) == 3
    assert {(book.of(number).depth, book.of(number).provenance) for number in same} == {
        ("Shallow", "Imported")
    }
