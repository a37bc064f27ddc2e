"""What else an arena may hold of a submission: ablations, labels, transcripts with their cost.

One reading function each; it returns nothing where the arena holds none. The documents are read as JSON, loosely:
a page shows what is there, and what the documents prove is for the commands that own them to say.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from patchrun.adapters.store import Arena

ABLATIONS = "refs/patchrun/ablations/"
LABELS = "refs/patchrun/labels/"
TRANSCRIPTS = "refs/patchrun/transcripts/"
MOST_ROWS = 60
MOST_TURNS = 400_000  # characters of a transcript that are looked at; the page cuts what it shows


@dataclass(frozen=True)
class Extra:
    """A section of a submission's page: a table, and a longer text behind a fold."""

    title: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text: str = ""


@dataclass(frozen=True)
class Extras:
    """Sections by submission, and what each agent's model cost in USD, as far as transcripts say."""

    sections: Mapping[str, list[Extra]]
    usd: Mapping[str, float]


def read_extras(arena: Arena) -> Extras:
    """Everything there is, read once for the whole site."""
    transcripts = list(read_documents(arena, TRANSCRIPTS, "transcript.json"))
    sections: dict[str, list[Extra]] = {}
    for found in (read_ablations(arena), read_labels(arena), show_transcripts(arena, transcripts)):
        for submission, extra in found.items():
            sections.setdefault(submission, []).append(extra)
    usd: dict[str, float] = {}
    for _, one in transcripts:
        if isinstance(one.get("usd"), int | float):
            usd[str(one.get("agent"))] = usd.get(str(one.get("agent")), 0.0) + one["usd"]
    return Extras(sections, usd)


def read_documents(arena: Arena, prefix: str, file: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(ref without ``prefix``, document) of each ref below it whose ``file`` is a JSON object."""
    refs = arena.repo.refs(prefix)
    blobs = arena.repo.read_many(f"{commit}:{file}" for commit in refs.values())
    for name, data in zip(refs, blobs, strict=True):
        try:
            document = json.loads(data or b"null")
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            yield name.removeprefix(prefix), document


def read_ablations(arena: Arena) -> dict[str, Extra]:
    """Submission -> seconds and loss of its variants, each a part of its pieces on the baseline."""
    stages = [one for _, one in read_documents(arena, ABLATIONS, "ablation.json")]
    if not stages:
        return {}
    measured: dict[tuple[str, str], list[tuple[float, float]]] = {}
    named = {str(stage.get("study")) for stage in stages}
    for run in arena.runs_of(study for study in arena.studies() if study.id in named):
        if run.exit == "ok" and run.seconds is not None and run.loss is not None:
            measured.setdefault((run.study, run.arm), []).append((run.seconds, run.loss))
    rows: dict[str, list[tuple[str, ...]]] = {}
    for stage in sorted(stages, key=lambda one: (str(one.get("created")), str(one.get("number")))):
        own = rows.setdefault(str(stage.get("submission")), [])
        own += _variant_rows(stage, measured)
    heads = ("stage", "pieces kept", "runs", "mean seconds", "mean loss")
    said = "Variants of the patch; `patchrun ablate` says which differences are beyond noise"
    return {name: Extra("Ablation", said, heads, tuple(own[:MOST_ROWS])) for name, own in rows.items()}


def _variant_rows(
    stage: Mapping[str, Any], measured: Mapping[tuple[str, str], list[tuple[float, float]]]
) -> Iterator[tuple[str, ...]]:
    for variant in stage.get("variants") or ():
        if not isinstance(variant, list) or len(variant) != 2 or not isinstance(variant[0], list):
            continue
        pieces, arm = variant
        runs = measured.get((str(stage.get("study")), str(arm)), [])
        sums = [sum(values) / len(runs) for values in zip(*runs, strict=True)]
        means = (f"{sums[0]:.3f}", f"{sums[1]:.4f}") if sums else ("–", "–")
        numbers = ", ".join(str(piece + 1) for piece in pieces if isinstance(piece, int))
        yield str(stage.get("purpose")), numbers or "none", str(len(runs)), *means


def read_labels(arena: Arena) -> dict[str, Extra]:
    """Submission -> what was said of its depth and provenance, by whom, why."""
    rows: dict[str, list[tuple[str, ...]]] = {}
    keys = ("depth", "provenance", "by", "reason", "created")
    for name, one in read_documents(arena, LABELS, "label.json"):
        rows.setdefault(name.split("/")[0], []).append(tuple(str(one.get(key, "–")) for key in keys))
    return {
        name: Extra("Labels", "What kind of idea it is", keys, tuple(own[:MOST_ROWS]))
        for name, own in rows.items()
    }


def show_transcripts(arena: Arena, transcripts: list[tuple[str, dict[str, Any]]]) -> dict[str, Extra]:
    """Submission -> the agent's proposals that led to it, what they cost, and the turns of the last one."""
    found: dict[str, Extra] = {}
    for name, one in sorted(transcripts, key=lambda pair: str(pair[1].get("created"))):
        submission = str(one.get("submission") or "")
        if not submission:
            continue
        cost, seconds = one.get("usd"), one.get("wall_seconds")
        row = (
            name[:12], str(one.get("model") or "–"), str(one.get("outcome") or "–"),
            f"{cost:.4f}" if isinstance(cost, int | float) else "–",
            f"{seconds:.0f}" if isinstance(seconds, int | float) else "–",
        )  # fmt: skip
        before = found[submission].rows if submission in found else ()
        heads = ("transcript", "model", "outcome", "USD", "wall s")
        rows = (*before, row)[-MOST_ROWS:]
        found[submission] = Extra("Agent", "How the patch came about", heads, rows, read_turns(arena, name))
    return found


def read_turns(arena: Arena, name: str) -> str:
    """The turns of a transcript as text, one after the other; empty where they cannot be read."""
    data = arena.repo.read_many([f"{TRANSCRIPTS}{name}:turns.json.gz"])[0]
    try:
        turns = json.loads(gzip.decompress(data)) if data else []
    except (OSError, EOFError, zlib.error, ValueError, RecursionError):
        return ""
    if not isinstance(turns, list):
        return ""
    words = (turn if isinstance(turn, str) else json.dumps(turn, indent=1) for turn in turns)
    return "\n\n".join(words)[:MOST_TURNS]
