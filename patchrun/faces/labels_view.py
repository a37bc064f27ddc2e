"""Labels of changes as lines and as JSON: what was said, by whom, how far samples agree, and whether it is signed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from patchrun.core.changelabel import (
    BROKEN,
    UNBOUND,
    UNLISTED,
    ChangeLabel,
    Signed,
    agree,
    agree_over,
    decide,
)
from patchrun.core.labels import DEPTHS, PROVENANCES
from patchrun.core.oneline import shorten
from patchrun.core.usage import say_cost

if TYPE_CHECKING:
    from patchrun.adapters.store import Arena
    from patchrun.services.classify import Outcome

LONGEST = 90


def label_documents(arena: Arena, subject: str) -> list[dict[str, Any]]:
    """Every label of a change as JSON, oldest first; ``counts`` marks the one that does."""
    said = arena.labels(subject)
    chosen = decide(said)
    return [label_document(one.label, one.signer) | {"counts": one is chosen} for one in said]


def label_document(label: ChangeLabel, signer: str = "") -> dict[str, Any]:
    """One label as JSON; ``signer`` null: nobody on the owner's list."""
    import msgspec

    document = msgspec.to_builtins(label)
    document["signature"] = say_signature(signer)
    document["agreement"] = agreement_document(label)
    return document


def agreement_document(label: ChangeLabel) -> dict[str, Any] | None:
    """How far the samples agree on each question; None for a person's label."""
    if not label.samples:
        return None
    found = {
        "depth": agree([sample.depth for sample in label.samples], len(DEPTHS)),
        "provenance": agree([sample.provenance for sample in label.samples], len(PROVENANCES)),
    }
    return {name: {"n": one.n, "share": one.share, "kappa": one.kappa} for name, one in found.items()}


def labels_line(arena: Arena, subject: str) -> str:
    """One line on a change: the label that counts, and how many others there are; empty where nobody said anything."""
    said = arena.labels(subject)
    chosen = decide(said)
    if chosen is None:
        return f"label: none counts, {len(said)} with a broken signature" if said else ""
    others = f"; {len(said) - 1} more" if len(said) > 1 else ""
    return f"label: {say_label(chosen)}: {shorten(chosen.label.reason, LONGEST)}{others}"


def say_label(one: Signed) -> str:
    """Depth and provenance, who says so, how sure."""
    label = one.label
    who = shorten(label.by, 40)
    if label.source == "human":
        return f"{label.depth}, {label.provenance} (by {who}, {say_signature(one.signer)})"
    return (
        f"{label.depth}, {label.provenance} (by {who}, {say_agreement(label)}, {say_signature(one.signer)})"
    )


def say_signature(signer: str) -> str:
    """Who signed, for people."""
    known = {
        "": "unsigned", UNLISTED: "signed by a key that is not on the list", BROKEN: "signature broken",
        UNBOUND: "signed, but not for this place",
    }  # fmt: skip
    return known.get(signer) or f"signed by {shorten(signer, 40)}"


def say_agreement(label: ChangeLabel) -> str:
    """``depth 4 of 5 (kappa 0.60), provenance 5 of 5 (kappa 1.00)``."""
    return ", ".join(
        f"{name} {round(one['share'] * one['n'])} of {one['n']}"
        + ("" if one["kappa"] is None else f" (kappa {one['kappa']:.2f})")
        for name, one in (agreement_document(label) or {}).items()
    )


def outcome_text(outcome: Outcome) -> str:
    """What came of asking about one change: its label, the reason, a quote, what it cost, what failed."""
    label = outcome.label
    failed = [f"  no answer: {shorten(why, 200)}" for why in outcome.failures]
    if label is None:
        return "\n".join([f"{outcome.subject.name}: no label", *failed])
    lines = [
        f"{outcome.subject.name}: {label.depth}, {label.provenance}" + (" (known)" if outcome.known else ""),
        f"  {say_agreement(label)}",
        f"  {shorten(label.reason, 400)}",
    ]
    fitting = [one for one in label.samples if (one.depth, one.provenance) == (label.depth, label.provenance)]
    lines += [f"  > {shorten(quote, 110)}" for quote in (fitting or label.samples)[0].quotes[:2]]
    tokens = f"{label.usage.total:,} tokens, " if label.usage else ""
    return "\n".join([*lines, f"  {tokens}{say_cost(label.usd)} ({shorten(label.by, 40)})", *failed])


def outcomes_text(outcomes: Sequence[Outcome]) -> str:
    """How many changes have a label, and the agreement over all of them."""
    labels = [outcome.label for outcome in outcomes if outcome.label]
    parts = [f"{len(labels)} of {len(outcomes)} changes labelled"]
    for name, choices in (("depth", len(DEPTHS)), ("provenance", len(PROVENANCES))):
        kappa = agree_over(_by_change(labels, name), choices)
        if kappa is not None:
            parts.append(f"kappa of {name} {kappa:.2f}")
    return ", ".join(parts)


def _by_change(labels: Iterable[ChangeLabel], name: str) -> list[list[str]]:
    return [[getattr(sample, name) for sample in label.samples] for label in labels]


def outcomes_document(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The JSON document of ``patchrun classify``."""
    labels = [outcome.label for outcome in outcomes if outcome.label]
    return {
        "rows": [
            {
                "subject": outcome.subject.name,
                "label": label_document(outcome.label) if outcome.label else None,
                "failures": list(outcome.failures),
                "known": outcome.known,
            }
            for outcome in outcomes
        ],
        "kappa": {
            "depth": agree_over(_by_change(labels, "depth"), len(DEPTHS)),
            "provenance": agree_over(_by_change(labels, "provenance"), len(PROVENANCES)),
        },
    }
