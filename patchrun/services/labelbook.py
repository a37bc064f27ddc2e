"""Where the rubric and a ladder's labels lie: in the package, in a track's folder, in an arena."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from patchrun.adapters.store import MAIN, Arena
from patchrun.core.history import History, tell
from patchrun.core.labels import NO_LABELS, LabelBook, LabelRubric, load_labels, load_label_rubric
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
    """The ladder of an arena."""
    return Labelled(arena.track.name, arena.ladder, read_arena(arena))
