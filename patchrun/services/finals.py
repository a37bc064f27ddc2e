"""Final rounds: commit to secret seeds and held-back tokens, run the picks on them, score, reveal the secrets.

A round is committed to before anyone's last submission; its secrets lie outside the arena, with the owner's keys. Each
code counts by the first study of a round that has it: nothing can be drawn again until lucky.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from patchrun.adapters import heldout
from patchrun.adapters.keys import create_key, key_file, load_key
from patchrun.adapters.shards import count_tokens
from patchrun.adapters.store import Arena, group_by_study
from patchrun.core import plan
from patchrun.core.agentnames import check_words
from patchrun.core.errors import ArenaError, UsageError
from patchrun.core.finalscore import FinalScore, judge_final
from patchrun.core.leaderboard import Leaderboard, rank
from patchrun.core.picks import Pick, pick_all
from patchrun.core.results import Attempt, FinalRound, Reveal, Run, Study
from patchrun.core.scoring import Score
from patchrun.core.selection import parse_span
from patchrun.services import tournament
from patchrun.services.outlook import Outlook
from patchrun.services.study import find_secrets, prepare_data
from patchrun.services.tournament import Scored

if TYPE_CHECKING:
    import numpy as np

REVEALED_BYTES = 4 << 20  # a shard up to this size is laid into the arena when its round is over


@dataclass(frozen=True)
class Choice:
    """Who enters a round: the pick of each agent, or of those named; or exactly these attempts."""

    pick: Pick = "last"
    agents: tuple[str, ...] = ()
    records: tuple[int, ...] | None = None
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Planned:
    """The studies that a round still needs, and in words the picks that do not enter it."""

    studies: tuple[Study, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """A submission of a round with what the round says of it."""

    attempt: Attempt
    study: Study
    found: FinalScore


@dataclass(frozen=True)
class Standing:
    """A round as it stands: its entries, agents ranked by it, the same attempts by their ordinary scores."""

    final: FinalRound
    reveal: Reveal | None
    entries: tuple[Entry, ...]
    board: Leaderboard
    ordinary: Leaderboard
    sandboxes: tuple[str, ...]


def commit(arena: Arena, by: str, tokens: Path | None = None) -> FinalRound:
    """Make a round's key and tokens, keep them with the owner's keys, and bind the arena to them by hash.

    ``tokens``: a shard of the owner's own; else a stretch of each text that the track holds out, at places drawn by the
    key.

    Raises:
        UsageError: the track holds no texts out and no tokens are given, or the given ones are too few.
        SetupError: the given file is no shard, or the secrets cannot be kept here.
    """
    check_words(by, "the name of who promises")
    _require_source(arena, tokens)
    identity = create_key()
    try:
        digest, count = _keep_tokens(arena, identity, tokens)
    except BaseException:
        key_file(identity).unlink()
        raise
    final = FinalRound(
        id="", track=arena.track.name, track_digest=arena.track.digest, key_commitment=identity,
        tokens_digest=digest, tokens=count, source="drawn" if tokens is None else "given", by=by,
        created=tournament.now(),
    )  # fmt: skip
    final = msgspec.structs.replace(final, id=final.expected_id)
    arena.add_final(final)
    return final


def _require_source(arena: Arena, tokens: Path | None) -> None:
    """A whole script reads so many validation tokens and one more; a model needs one context and one more."""
    track = arena.track
    if tokens is None:
        if track.data.source == "shards":
            raise UsageError(
                f"track {track.name} has no texts to hold back tokens from", "give a shard: --tokens FILE"
            )
        return
    needed = track.data.val_tokens if track.evidence.kind == "log" else track.evidence.context or 1
    if (count := count_tokens(tokens)) <= needed:
        raise UsageError(f"{count} tokens, more than {needed} are needed", "give a longer shard")


def _keep_tokens(arena: Arena, identity: str, tokens: Path | None) -> tuple[str, int]:
    """Copy or draw the tokens; their digest and number."""
    key = load_key(identity)
    if tokens is not None:
        return heldout.keep_given(key, identity, tokens)
    return heldout.keep_drawn(key, identity, _draw(arena, key))


def _draw(arena: Arena, key: bytes) -> np.ndarray:
    corpus = prepare_data(arena)
    assert corpus is not None
    folder = arena.track_folder() if arena.track.data.source == "folder" else None
    return heldout.draw_tokens(arena.track.data, key, corpus.tokenizer_file, folder)


def find(arena: Arena, short: str | None = None) -> FinalRound:
    """The round whose id begins with ``short``, else the latest; UsageError when there is none or it is ambiguous."""
    finals = arena.finals()
    if not finals:
        raise UsageError("no final round was committed to", "`patchrun final commit` makes its secrets")
    if short is None:
        return finals[-1]
    found = [final for final in finals if final.id.startswith(short)]
    if len(found) != 1:
        problem = "is ambiguous" if found else "names no final round here"
        raise UsageError(f"{short!r} {problem}", "there are: " + ", ".join(final.id for final in finals))
    return found[0]


def plan_round(arena: Arena, final: FinalRound, choice: Choice) -> Planned:
    """What the round lacks: studies begun and not finished, and one a record for picks that are in none yet.

    Raises:
        UsageError: the round is over or of another track, or the choice names what is not here.
        SetupError: the round's secrets are not on this machine.
    """
    if final.id in arena.reveals():
        raise UsageError(f"the secrets of final round {final.id} are known", "commit to a new one")
    if final.track_digest != arena.track.digest:
        raise UsageError(f"final round {final.id} was committed to under another track", "make a new one")
    _, key = find_secrets(arena, final.id)
    begun = studies_of(arena, final)
    unfinished = [study for study in begun if plan.missing(study, arena.slots(study))]
    chosen, left_out = choose(arena, choice)
    records: dict[str, dict[str, list[Attempt]]] = {}
    for attempt in chosen:
        if not any(plan.find_arm(study, attempt.record, attempt.ast_digest) for study in begun):
            records.setdefault(attempt.record, {}).setdefault(attempt.ast_digest, []).append(attempt)
    outlook = Outlook(arena)
    fresh = [_plan_study(arena, final, key, list(codes.values()), outlook) for codes in records.values()]
    return Planned((*unfinished, *fresh), tuple(left_out))


def studies_of(arena: Arena, final: FinalRound) -> list[Study]:
    """The studies of a round, oldest first."""
    return [study for study in arena.studies() if study.final == final.id and study.seed_source == "final"]


def choose(arena: Arena, choice: Choice) -> tuple[list[Attempt], list[str]]:
    """The attempts that enter, and in words the picks that do not: those that are not valid score 0 in any case."""
    everything = tournament.assess(arena)
    _require_known(choice, {one.attempt.agent for one in everything})
    picked = _picked(arena, choice, everything)
    chosen = [one.attempt for one in picked if one.score.is_valid]
    left_out = [
        f"{one.attempt.agent}, record {one.attempt.record}: {one.score.verdict or one.score.state}"
        for one in picked if not one.score.is_valid
    ]  # fmt: skip
    return sorted(chosen, key=lambda attempt: (attempt.created, attempt.id)), sorted(left_out)


def _require_known(choice: Choice, agents: Collection[str]) -> None:
    for name in choice.agents:
        if name not in agents:
            raise UsageError(f"no agent {name!r} here", f"agents: {', '.join(sorted(agents)) or 'none yet'}")
    if choice.pick == "mean":
        raise UsageError("the mean of attempts is no attempt", "choose --pick last, first or best")


def _picked(arena: Arena, choice: Choice, everything: Sequence[Scored]) -> list[Scored]:
    by_id = {one.attempt.id: one for one in everything}
    if choice.ids:
        return [by_id[arena.attempt(name).id] for name in dict.fromkeys(choice.ids)]
    first = tournament.assess(arena, "first") if choice.pick == "best" else everything
    again = tournament.assess(arena, "again") if choice.pick == "best" else []
    picks = pick_all(_pairs(first), choice.pick, remeasured=_pairs(again))
    wanted = None if choice.records is None else {str(number) for number in choice.records}
    return [
        by_id[picked.attempt.id]
        for agent, own in picks.items() if not choice.agents or agent in choice.agents
        for record, picked in own.items() if wanted is None or record in wanted
    ]  # fmt: skip


def _pairs(scored: Iterable[Scored]) -> list[tuple[Attempt, Score]]:
    return [(one.attempt, one.score) for one in scored]


def _plan_study(
    arena: Arena, final: FinalRound, key: bytes, codes: Sequence[Sequence[Attempt]], outlook: Outlook
) -> Study:
    """One study of the first of each code's attempts; ``picks`` names all of them."""
    span = codes[0][0].span
    arms = (
        *tournament.reference_arms(arena, span),
        *(tournament.submission_arm(arena, same[0]) for same in codes),
    )
    name = plan.study_id(arena.track.digest, str(span), arms, 0, f"final {final.id}")
    return Study(
        id=name, track=arena.track.name, track_digest=arena.track.digest, record=str(span), arms=arms,
        seeds=plan.derive_seeds(key, name, outlook.blocks(span)), seed_source="final", final=final.id,
        picks=tuple(attempt.id for same in codes for attempt in same), created=tournament.now(),
        secret=tournament.permute_secret(arena.track, span, key, name),
    )  # fmt: skip


def assess(arena: Arena, final: FinalRound) -> Standing:
    """What the round says so far, computed anew from the stored runs."""
    runs = group_by_study(arena.runs())
    found = [
        _judge(arena, study, runs.get(study.id, []), one)
        for study, one in _entered(studies_of(arena, final), tournament.assess(arena))
    ]
    shown = sorted(found, key=lambda e: (parse_span(e.attempt.record), e.attempt.agent, e.attempt.sequence))
    names = {run.sandbox for entry in shown for run in runs.get(entry.study.id, [])}
    return Standing(
        final=final, reveal=arena.reveals().get(final.id), entries=tuple(shown),
        board=rank((e.attempt, e.found.score) for e in shown),
        ordinary=rank((e.attempt, e.found.ordinary) for e in shown), sandboxes=tuple(sorted(names)),
    )  # fmt: skip


def _entered(studies: Sequence[Study], everything: Sequence[Scored]) -> list[tuple[Study, Scored]]:
    """The picks of the round with their studies, then attempts of other agents that have the code of one."""
    by_id = {one.attempt.id: one for one in everything}
    found = {
        name: (study, by_id[name]) for study in reversed(studies) for name in study.picks if name in by_id
    }
    entered = {(one.attempt.agent, one.attempt.record) for _, one in found.values()}
    for one in everything:
        attempt = one.attempt
        same = [study for study in studies if plan.find_arm(study, attempt.record, attempt.ast_digest)]
        if attempt.accepted and same and (attempt.agent, attempt.record) not in entered:
            found[attempt.id] = same[0], one
    return list(found.values())


def _judge(arena: Arena, study: Study, runs: Sequence[Run], one: Scored) -> Entry:
    arm = plan.find_arm(study, one.attempt.record, one.attempt.ast_digest)
    if arm is None:
        raise ArenaError(f"study {study.id} has no arm of {one.attempt.id}", "`patchrun verify` says more")
    found = judge_final(arena.track, study, runs, arm.name, one.score, one.runs)
    return Entry(one.attempt, study, _apply_ruling(found, one))


def _apply_ruling(found: FinalScore, one: Scored) -> FinalScore:
    """Who was withdrawn or disqualified is so in the final round too."""
    return found if one.ruling is None else msgspec.structs.replace(found, score=one.score)


def reveal(arena: Arena, final: FinalRound, by: str) -> Reveal:
    """Publish a round's key, and its tokens where they are few: from now on everybody can check what was promised.

    Raises:
        UsageError: nothing was run under it, runs are missing, or it was revealed before.
        SetupError: its secrets are not on this machine.
    """
    check_words(by, "the name of who reveals")
    studies = studies_of(arena, final)
    if not studies:
        raise UsageError(
            f"nothing was run under final round {final.id}", "`patchrun final run` runs the picks"
        )
    if any(plan.missing(study, arena.slots(study)) for study in studies):
        raise UsageError(f"runs of final round {final.id} are missing", "`patchrun final run` goes on")
    _, key = find_secrets(arena, final.id)
    tokens = heldout.load_tokens(final, key)
    value = Reveal(final=final.id, key=key.hex(), by=by, created=tournament.now())
    if not arena.add_reveal(value, tokens if len(tokens) <= REVEALED_BYTES else None):
        raise UsageError(
            f"the secrets of final round {final.id} are known already", "`patchrun final show` has the round"
        )
    return value


def check_drawn(arena: Arena, final: FinalRound) -> bool | None:
    """Whether a revealed key draws the promised tokens from the track's texts; None where the owner gave them.

    Raises:
        UsageError: the round is not revealed yet, or was promised under another track.
        SetupError: the texts cannot be had.
    """
    revealed = arena.reveals().get(final.id)
    if revealed is None:
        raise UsageError(f"final round {final.id} is not revealed yet", "`patchrun final reveal` ends it")
    if final.track_digest != arena.track.digest:
        raise UsageError(
            f"final round {final.id} was committed to under another track",
            "check it in an arena of that track",
        )
    if final.source == "given":
        return None
    key = bytes.fromhex(revealed.key)
    return heldout.digest_drawn(key, _draw(arena, key)) == final.tokens_digest
