"""The judge's rules and words as data, rendered for one track."""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from patchrun.core.errors import ManifestError
from patchrun.core.manifest import Strict, load_manifest

if TYPE_CHECKING:
    from patchrun.core.track import Track

CLOCKS = {
    "cpu": "Time is the CPU time of the script's process, read from outside.",
    "arrival": "Time is taken from the moments at which the script's output lines arrive outside.",
}
EVIDENCE = {
    "model": "The loss is that of the saved model, computed by the contest on texts that the script never sees.",
    "log": "The loss is the one that the script itself validates and prints.",
}


class Rule(Strict):
    """One rule: ``needs`` names the part of the track without which it says nothing."""

    id: Annotated[str, Meta(pattern=r"\A[a-z]+(-[a-z]+)*\Z")]
    text: str
    needs: Literal["", "about", "protected", "forbidden"] = ""
    evidence: Literal["", "model", "log"] = ""


class Rubric(Strict):
    """``judge.toml``: the system prompt, the question, the rules."""

    version: Literal[1]
    system: str
    question: str
    rule: Annotated[tuple[Rule, ...], Meta(min_length=1)]


def load_rubric(text: str, name: str = "judge.toml") -> Rubric:
    """Read and check a rubric; ManifestError names every problem, a rule's id that occurs twice included."""
    rubric = load_manifest(Rubric, text, name)
    ids = [rule.id for rule in rubric.rule]
    if twice := sorted({id for id in ids if ids.count(id) > 1}):
        raise ManifestError(f"{name}: rule.id: {', '.join(twice)} twice", "give every rule an id of its own")
    return rubric


def choose_rules(rubric: Rubric, track: Track) -> tuple[Rule, ...]:
    """The rules that say something about this track."""
    facts = _facts(track)
    return tuple(
        rule
        for rule in rubric.rule
        if rule.evidence in ("", track.evidence.kind) and (not rule.needs or facts[rule.needs])
    )


def write_system(rubric: Rubric, track: Track) -> str:
    """The system prompt; KeyError for a name in the rubric that no track fills in."""
    facts = _facts(track)
    rules = "\n".join(
        f"- `{rule.id}`: {_fill(rule.text.strip(), facts)}" for rule in choose_rules(rubric, track)
    )
    return _fill(rubric.system.strip(), facts | {"rules": rules})


def write_question(rubric: Rubric, track: Track, token: str, data: str) -> str:
    """The question around the data."""
    ids = ", ".join(f"`{rule.id}`" for rule in choose_rules(rubric, track))
    return _fill(rubric.question.strip(), {"token": token, "data": data, "ids": ids})


def _fill(text: str, facts: dict[str, str]) -> str:
    return Template(text).substitute(facts)


def _facts(track: Track) -> dict[str, str]:
    return {
        "title": track.title,
        "about": " ".join(track.about.split()),
        "target": f"{track.target.loss:g}",
        "clock": CLOCKS[track.clock.source],
        "evidence": EVIDENCE[track.evidence.kind],
        "protected": ", ".join(track.edit.protected),
        "forbidden": ", ".join(track.edit.forbidden_calls),
    }
