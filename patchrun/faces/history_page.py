"""docs/history.md: the ladder's story as a page, with the rubric that its labels follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from patchrun.faces import history_view

if TYPE_CHECKING:
    from patchrun.core.history import By, History
    from patchrun.core.labels import Grade, LabelBook, LabelRubric
    from patchrun.core.published import Comparison

HEAD = """\
# The story of the {track} ladder

Made by `patchrun history --track {track} --format markdown`. Every record has a label for how deep its change goes and
one for where its idea comes from, by the rubric below; the tables say how much of the speedup goes to which."""


def render_page(
    history: History,
    book: LabelBook,
    rubric: LabelRubric,
    groupings: Sequence[By],
    comparisons: Sequence[Comparison],
) -> str:
    """The whole page: the tables, every record with its label, the comparison, the rubric."""
    parts = [
        HEAD.format(track=history.track),
        history_view.history_text(history, book, groupings, comparisons, markdown=True, records=True),
        *_rubric_parts(rubric),
    ]
    return "\n\n".join(parts)


def _rubric_parts(rubric: LabelRubric) -> Iterator[str]:
    yield f"## The rubric ({rubric.digest})"
    yield from (text.strip() for text in (rubric.purpose, rubric.unit, rubric.closeness))
    for title, scale in (("Depth", rubric.depth), ("Provenance", rubric.provenance)):
        yield f"### {title}"
        yield from map(_grade_text, scale)


def _grade_text(grade: Grade) -> str:
    tests = "\n".join(f"- {test}" for test in grade.tests)
    return f"**{grade.name}.** {grade.definition.strip()}\n\n{tests}\n- For example: {'; '.join(grade.examples)}."
