"""Labels of changes: the rubric they follow, and those that ship with a ladder, both kept as data."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from patchrun.core.errors import ManifestError
from patchrun.core.ladder import Ladder
from patchrun.core.manifest import Count, Positive, Strict, load_manifest

Depth = Literal["Breakthrough", "Deep", "Moderate", "Shallow"]
Provenance = Literal["Invented", "Adapted", "Imported"]
DEPTHS: tuple[str, ...] = get_args(Depth)
PROVENANCES: tuple[str, ...] = get_args(Provenance)
ASKED = ("system", "question")  # how a model is asked is not what the labels mean
Day = Annotated[str, Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
Share = Annotated[float, Meta(ge=0, le=1)]
Words = Annotated[str, Meta(min_length=1)]


class Grade(Strict):
    """One label: what it means, how to tell it from its neighbours, examples."""

    name: str
    definition: Words
    tests: Annotated[tuple[Words, ...], Meta(min_length=1)]
    examples: Annotated[tuple[Words, ...], Meta(min_length=1)]


class LabelRubric(Strict):
    """Both scales. ``purpose``, ``unit`` and ``closeness`` say what is asked, of what, and what to do in doubt.

    ``system`` and ``question`` are what a model is asked; ``$names`` in them are filled in.
    """

    version: Literal[1]
    purpose: Words
    unit: Words
    closeness: Words
    system: Words
    question: Words
    depth: tuple[Grade, ...]
    provenance: tuple[Grade, ...]

    def __post_init__(self) -> None:
        for scale, names in ((self.depth, DEPTHS), (self.provenance, PROVENANCES)):
            if sorted(grade.name for grade in scale) != sorted(names):
                raise ValueError(f"a scale must define {', '.join(names)}, each once")

    @property
    def digest(self) -> str:
        """12 hex digits that name this wording: labels by another one are not the same labels."""
        said = msgspec.to_builtins(self)
        text = json.dumps({name: said[name] for name in said if name not in ASKED}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class LadderLabel(Strict, frozen=True, kw_only=True):
    """What kind of change a record is, or in ``unlabelled`` why that is not said.

    ``close_depth`` and ``close_provenance``: the neighbour that could be argued for. ``by`` and ``date``: who said so
    and when, where it is not the file's.
    """

    record: Count
    depth: Depth | None = None
    provenance: Provenance | None = None
    reason: str = ""
    unlabelled: str = ""
    close_depth: Depth | None = None
    close_provenance: Provenance | None = None
    by: str = ""
    date: str = ""

    def __post_init__(self) -> None:
        labelled = bool(self.depth and self.provenance and self.reason)
        if labelled == bool(self.unlabelled):
            raise ValueError(
                f"record {self.record}: needs depth, provenance and reason, or only unlabelled with why"
            )
        if "\n" in self.reason + self.unlabelled:
            raise ValueError(f"record {self.record}: the reason must be one line")
        if self.depth in (self.close_depth or 0,) or self.provenance in (self.close_provenance or 0,):
            raise ValueError(f"record {self.record}: a close label must be another one")


class Published(Strict):
    """An analysis by others of the first ``records`` records, up to the day ``until``.

    ``shallow_and_moderate``: how much of ``speedup`` it puts down to changes of these two depths; ``invented_share``:
    of the contributions since ``invented_since``. ``remark``: ours, on where the two differ.
    """

    source: Words
    until: Day
    records: Count
    speedup: Positive
    shallow_and_moderate: Positive
    invented_since: Day
    invented_share: Share
    ai_records: Count
    ai_depth: Depth
    remark: str = ""


class LabelBook(Strict, frozen=True, kw_only=True):
    """``labels.toml``: the labels of a ladder's records, in their order, and who set them when."""

    version: Literal[1]
    by: Words
    date: Day
    published: Published | None = None
    label: tuple[LadderLabel, ...] = ()

    def __post_init__(self) -> None:
        numbers = [label.record for label in self.label]
        if numbers != sorted(set(numbers)):
            raise ValueError("labels must be in the order of their records, each once")

    def of(self, record: int) -> LadderLabel:
        """The label of ``record``, with who and when filled in; one that says so where there is none."""
        for label in self.label:
            if label.record == record:
                by, date = label.by or self.by, label.date or self.date
                return msgspec.structs.replace(label, by=by, date=date)
        return LadderLabel(record=record, unlabelled="nobody has labelled it")


NO_LABELS = LabelBook(version=1, by="nobody", date="1970-01-01")


def load_label_rubric(text: str, name: str = "prompts/labels.toml") -> LabelRubric:
    """Read and check the rubric; ManifestError names every problem."""
    return load_manifest(LabelRubric, text, name)


def load_labels(text: str, ladder: Ladder, name: str = "labels.toml") -> LabelBook:
    """Read and check the labels of ``ladder``; ManifestError names every problem."""
    book = load_manifest(LabelBook, text, name)
    strange = [str(label.record) for label in book.label if label.record > len(ladder.record)]
    if strange:
        raise ManifestError(f"{name}: no record {', '.join(strange)} in the ladder")
    return book
