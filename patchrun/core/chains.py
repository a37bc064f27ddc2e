"""Chains: submissions that build on earlier ones of the same agent, and the span that a chain is scored over.

A link is a diff against the code of the submission that it names; it is scored from the baseline under the chain's
first link to the human code of the record that it names itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from patchrun.core.agentnames import is_same
from patchrun.core.errors import UsageError
from patchrun.core.results import Attempt, Ruling, content_id
from patchrun.core.scoring import Score
from patchrun.core.selection import Span


def attempt_id(
    track_digest: str,
    record: Span | str,
    tiers: tuple[int, ...],
    baseline_tree: str,
    content: str,
    agent: str,
    onto: str = "",
) -> str:
    """The id of an attempt; ``content`` is the patched tree, or of a rejected diff the hash of its bytes."""
    identity = (track_digest, record, tiers, baseline_tree, content, agent)
    return content_id(*identity, *(("onto", onto) if onto else ()))


def extend_span(span: Span, base: Span) -> Span:
    """The span of a link that names ``span`` and builds on a submission over ``base``.

    Raises:
        UsageError: it ends before the base does, or names another baseline to start from.
    """
    if span.last < base.last:
        raise UsageError(
            f"record {span} lies before record {base}, which is built on",
            f"name record {base.last} or a later one",
        )
    if span.first not in (base.first, span.last):
        raise UsageError(
            f"span {span} does not start at baseline {base.first}, where the chain starts",
            f"say --record {span.last}, or {base.first}..{span.last}",
        )
    return Span(base.first, span.last)


def check_base(base: Attempt, score: Score, agent: str | None, track_digest: str) -> None:
    """Refuse what cannot be built on; ``agent`` None is not compared.

    Raises:
        UsageError: another agent's, of another state of the track, or not valid (yet).
    """
    if agent is not None and not is_same(base.agent, agent):
        raise UsageError(
            f"{base.id} is {base.agent}'s: {agent} builds on submissions of their own",
            "name one of them, or say --agent",
        )
    if base.track_digest != track_digest:
        raise UsageError(
            f"{base.id} was handed in under another state of the track", "hand it in again, then build on it"
        )
    if not score.is_valid:
        said = score.verdict or score.state
        raise UsageError(
            f"{base.id} is {said}, and only a valid submission can be built on"
            + (f": {score.reason}" if score.reason else ""),
            f"measure it first: `patchrun run {base.id}`"
            if score.verdict is None
            else "build on a valid one",
        )


def join_tiers(own: tuple[int, ...], base: tuple[int, ...]) -> tuple[int, ...]:
    """Whoever builds on code that hints helped to write has had those hints."""
    return tuple(sorted({*own, *base}))


def trace_chain(attempt: Attempt, known: Mapping[str, Attempt]) -> list[Attempt]:
    """The links from the first to ``attempt``; those that are not in ``known`` are left out."""
    chain = [attempt]
    while chain[0].onto and (base := known.get(chain[0].onto)):
        chain.insert(0, base)
    return chain


def rule_chains(attempts: Iterable[Attempt], rulings: Mapping[str, Ruling]) -> dict[str, Ruling]:
    """Submission -> the ruling that holds for it: its own, or that a link below it was disqualified.

    Code that was thrown out does not come back by being built on; a withdrawal concerns that attempt alone.
    """
    known = {attempt.id: attempt for attempt in attempts}
    found = dict(rulings)
    for attempt in known.values():
        below = trace_chain(attempt, known)[:-1]
        bad = [rulings[one.id] for one in below if one.id in rulings]
        bad = [ruling for ruling in bad if ruling.ruling == "disqualified"]
        if bad and attempt.id not in rulings:
            said = f"built on {bad[0].submission}: {bad[0].reason}"
            found[attempt.id] = msgspec.structs.replace(bad[0], submission=attempt.id, reason=said)
    return found


def check_link(link: Attempt, base: Attempt) -> str:
    """What is wrong with a stored link as such, empty when nothing is."""
    if not is_same(base.agent, link.agent):
        return f"builds on {base.id}, which is another agent's"
    if base.track_digest != link.track_digest or not base.accepted:
        return f"builds on {base.id}, which it could not"
    if (base.span.first, base.baseline_commit) != (link.span.first, link.baseline_commit):
        return f"starts from another baseline than {base.id}"
    if link.span.last < base.span.last or not set(base.hint_tiers) <= set(link.hint_tiers):
        return f"claims less than {base.id}: records or hints are missing"
    return ""
