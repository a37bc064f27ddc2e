"""What a model is asked when it labels a change: the rubric in words, the change as data between markers."""

from __future__ import annotations

from collections.abc import Iterator
from string import Template

from patchrun.core.judging import Exhibit, wrap_data
from patchrun.core.labels import Grade, LabelRubric


def write_system(rubric: LabelRubric) -> str:
    """The same words for every change, so that they can be cached."""
    return Template(rubric.system).substitute(rubric="\n\n".join(_rubric_parts(rubric)))


def _rubric_parts(rubric: LabelRubric) -> Iterator[str]:
    yield from (text.strip() for text in (rubric.purpose, rubric.unit))
    for title, scale in (("Depth", rubric.depth), ("Provenance", rubric.provenance)):
        yield f"{title}:"
        yield from (_grade_text(grade) for grade in scale)


def _grade_text(grade: Grade) -> str:
    tests = "\n".join(f"- {test}" for test in grade.tests)
    return f"{grade.name}: {grade.definition.strip()}\n{tests}\n- For example: {'; '.join(grade.examples)}."


def write_question(rubric: LabelRubric, title: str, record: str, diff: str, token: str) -> str | None:
    """The question on one diff; None where ``token`` occurs in it, and another must be drawn."""
    data = wrap_data(Exhibit(diff, {}, {}), token)
    if data is None:
        return None
    return Template(rubric.question).substitute(title=title, record=record, token=token, data=data)
