"""An ablation as text and as JSON: what each piece is worth, and the fewest that keep the speedup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patchrun.core.ablation import KEPT, MEANINGS, Ablation, Effect, Outcome, Worth
from patchrun.faces import cells
from patchrun.faces.cells import NOTHING

if TYPE_CHECKING:
    from patchrun.core.pieces import Hunk, Piece
    from patchrun.services.ablation import Prospect

HEADERS = ("piece", "where (lines of the baseline)", "without it, s", "without it, loss", "alone keeps", "it")
WIDTHS = (5, 24, 17, 19, 14, 12)


def ablation_document(found: Ablation, fsr: float | None = None) -> dict[str, Any]:
    """The ablation as JSON; pieces and lines count from 1, ``fsr`` is the submission's own."""
    best = found.best
    return {
        "id": found.submission,
        "blocks": found.blocks,
        "runs": {"planned": found.runs_planned, "stored": found.runs_stored},
        "baseline_seconds": found.baseline_seconds,
        "whole": _outcome_document(found.full, fsr),
        "gain_seconds": _effect_document(found.gain),
        "pieces": [_worth_document(found.pieces[one.piece], one, fsr) for one in found.worths],
        "fewest": None
        if best is None or found.search is None
        else _outcome_document(best, fsr) | {"is_minimal": found.search.is_over, "kept_share": KEPT},
        "no_search": found.reason or None,
        "tried": [_outcome_document(one, fsr) for one in found.tried],
    }


def _worth_document(piece: Piece, worth: Worth, fsr: float | None) -> dict[str, Any]:
    return {
        "piece": worth.piece + 1,
        "hunks": [hunk_document(hunk) for hunk in piece.hunks],
        "joined_since": piece.reason or None,
        "label": worth.label,
        "seconds": _effect_document(worth.seconds),
        "loss": _effect_document(worth.loss),
        "without": None if worth.without is None else _outcome_document(worth.without, fsr),
        "alone": None if worth.alone is None else _outcome_document(worth.alone, fsr),
    }


def hunk_document(hunk: Hunk) -> dict[str, Any]:
    """A hunk by its first lines (from 1) and counts in the old and the new file."""
    return {
        "path": hunk.path,
        "old": [hunk.old_first + 1, hunk.removed],
        "new": [hunk.new_first + 1, hunk.added],
    }


def _effect_document(effect: Effect) -> dict[str, Any]:
    return {
        "difference": effect.difference,
        "ci": cells.pair(effect.ci),
        "p": effect.p,
        "p_holm": effect.p_holm,
    }


def _outcome_document(one: Outcome, fsr: float | None) -> dict[str, Any]:
    return {
        "pieces": [k + 1 for k in one.pieces],
        "study": one.study,
        "n": one.n,
        "missing": one.missing,
        "seconds": one.seconds,
        "loss": one.loss,
        "reaches_target": one.reaches,
        "broken": one.broken or None,
        "share": one.share,
        "share_ci": cells.pair(one.share_ci),
        "fsr": None if fsr is None or one.share is None else fsr * one.share,
        "keeps": one.keeps,
    }


def ablation_text(found: Ablation, fsr: float | None = None) -> str:
    """The whole in a sentence or two, a row a piece, the fewest pieces, and what the words mean."""
    rows = [_row(found.pieces[one.piece], one) for one in found.worths]
    table = cells.table(rows, HEADERS, "simple", "rlllll", WIDTHS)
    used = [label for label in MEANINGS if any(one.label == label for one in found.worths)]
    legend = "\n".join(f"{label}: {MEANINGS[label]}." for label in used)
    return "\n\n".join(part for part in (_headline(found), table, _say_fewest(found, fsr), legend) if part)


def _headline(found: Ablation) -> str:
    count, plural = len(found.pieces), "" if len(found.pieces) == 1 else "s"
    line = f"Ablation: {count} piece{plural}, {found.blocks} blocks, {found.runs_stored} of {found.runs_planned} runs."
    if found.gain.difference is None or found.full.seconds is None or found.baseline_seconds is None:
        return line
    return (
        f"{line}\nBaseline {found.baseline_seconds:.3f} s, whole patch {found.full.seconds:.3f} s: "
        f"faster by {_say_effect(found.gain, '.3f')} s.\n"
        "Intervals are of 95%; p after Holm's correction over the pieces."
    )


def _row(piece: Piece, worth: Worth) -> tuple[str, ...]:
    label = worth.label or "not measured yet"
    if worth.label == "carries" and worth.without:
        label += ": breaks" if worth.without.broken else ": misses"
    return (
        str(worth.piece + 1), f"{piece.places} (+{piece.added} -{piece.removed})", _say_effect(worth.seconds, "+.3f"),
        _say_effect(worth.loss, "+.4f"), _say_share(worth.alone), label,
    )  # fmt: skip


def _say_effect(effect: Effect, form: str) -> str:
    if effect.difference is None:
        return NOTHING
    if effect.difference == 0 and effect.ci is None and effect.p is not None:
        return "0, the same in each block"
    said = format(effect.difference, form)
    if effect.ci:
        said += f" ({cells.interval(effect.ci, form)})"
    return said if effect.p_holm is None else f"{said} p {effect.p_holm:.2g}"


def _say_share(one: Outcome | None) -> str:
    if one is None or one.share is None:
        return NOTHING if one is None or not one.broken else "breaks"
    interval = f" ({cells.interval(one.share_ci, '.0%')})" if one.share_ci else ""
    return f"{one.share:.0%}{interval}" + ("" if one.reaches else ", misses the target")


def _say_fewest(found: Ablation, fsr: float | None) -> str:
    best = found.best
    if best is None or found.search is None:
        return f"No search for the fewest pieces: {found.reason}." if found.reason else ""
    names = ", ".join(str(k + 1) for k in best.pieces)
    ended = (
        "none of them can be left out"
        if found.search.is_over
        else "the budget ended the search, fewer may do"
    )
    lines = [
        f"Fewest that keep {KEPT:.0%} of the speedup: piece{'s' if len(best.pieces) > 1 else ''} {names}; {ended}.",
        f"Kept: {_say_share(best)}" + ("" if best.is_sure else "; the interval does not settle it") + ".",
    ]
    if fsr is not None and best.share is not None:
        lines.append(f"That is an FSR of about {fsr * best.share:.3f}, where the whole patch has {fsr:.3f}.")
    return "\n".join(lines)


def prospect_text(prospect: Prospect) -> str:
    """What an ablation will take, before it starts."""
    lines = [f"{len(prospect.pieces)} piece{'' if len(prospect.pieces) == 1 else 's'}:"]
    for number, piece in enumerate(prospect.pieces, 1):
        because = f"; one since: {piece.reason}" if piece.reason else ""
        lines.append(f"  {number}  {piece.places} (+{piece.added} -{piece.removed}){because}")
    took = "" if prospect.seconds is None else f", about {prospect.seconds:.0f} s of training"
    what = "left out, and alone" if prospect.with_alone else "left out (the budget does not take each alone)"
    stored = f", {prospect.stored} of the ablation's are there" if prospect.stored else ""
    rest = max(prospect.budget - prospect.runs, 0)
    return "\n".join(
        [*lines, f"Each {what}: {prospect.runs} runs in {prospect.blocks} blocks{took}{stored}.",
         f"The search for the fewest pieces takes at most {rest} more (--budget-runs {prospect.budget})."]
    )  # fmt: skip


def prospect_document(prospect: Prospect, name: str) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "id": name,
        "pieces": [
            {
                "piece": k,
                "hunks": [hunk_document(h) for h in piece.hunks],
                "joined_since": piece.reason or None,
            }
            for k, piece in enumerate(prospect.pieces, 1)
        ],
        "blocks": prospect.blocks,
        "runs": {
            "first": prospect.runs,
            "most": max(prospect.budget, prospect.runs),
            "stored": prospect.stored,
        },
        "training_seconds": prospect.seconds,
    }
