"""Where the rubric and a ladder's labels lie: in the package, in a track's folder, in an arena."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import msgspec

from patchrun.adapters.store import MAIN, Arena
from patchrun.core.changelabel import ChangeLabel, decide
from patchrun.core.history import History, tell
from patchrun.core.labels import (
    NO_LABELS,
    LabelBook,
    LabelRubric,
    LadderLabel,
    load_label_rubric,
    load_labels,
)
from patchrun.core.ladder import Ladder
from patchrun.services.importer import LABELS, find_track, read_labels, read_track


def read_rubric() -> LabelRubric:
    """The rubric that ships with patchrun."""
    return load_label_rubric(
        resources.files("patchrun").joinpath("prompts/labels.toml").read_text(encoding="utf-8")
    )


def read_arena(arena: Arena) -> LabelBook:
    """The labels that came with the track of ``arena`` when it was made."""
    [data] = arena.repo.read_many([f"{MAIN}:{LABELS}"])
    if data is None:
        return NO_LABELS
    return load_labels(data.decode("utf-8", "replace"), arena.ladder, f"{arena.repo.path}: {LABELS}")


@dataclass(frozen=True)
class Labelled:
    """A ladder with its labels."""

    track: str
    ladder: Ladder
    book: LabelBook

    def tell(self, until: str = "") -> History:
        """The story up to the day ``until`` (ISO; "": all of it)."""
        return tell(self.track, self.ladder, self.book, until)


def of_track(name_or_path: str) -> Labelled:
    """A shipped track, or one in a folder."""
    source = read_track(find_track(name_or_path))
    return Labelled(source.track.name, source.ladder, read_labels(source))


def of_arena(arena: Arena) -> Labelled:
    """The ladder of an arena; what people said there of its human patches goes before the labels that came with it."""
    book = read_arena(arena)
    said = [one for one in arena.labels() if one.label.source == "human"]
    own = {label.record: label for label in book.label}
    for number in (record.number for record in arena.ladder.record):
        if found := decide(one for one in said if one.label.subject == f"h{number}"):
            own[number] = _as_ladder_label(number, found.label)
    label = tuple(own[number] for number in sorted(own))
    return Labelled(arena.track.name, arena.ladder, msgspec.structs.replace(book, label=label))


def _as_ladder_label(record: int, label: ChangeLabel) -> LadderLabel:
    return LadderLabel(
        record=record, depth=label.depth, provenance=label.provenance, reason=label.reason, by=label.by,
        date=label.created[:10],
    )  # fmt: skip
