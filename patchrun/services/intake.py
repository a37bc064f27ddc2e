"""What a user may hand in: a diff file, standard input, an edited checkout, or a predictions file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from patchrun.adapters.store import Arena
from patchrun.core.agentnames import check_name
from patchrun.core.errors import UnreadableDiff, UsageError
from patchrun.core.leaving_out import MOST_BYTES
from patchrun.core.selection import Span, parse_span
from patchrun.services.checkout import diff_of_folder

PREDICTIONS = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class HandIn:
    """One diff with the record it is for and the agent who made it; ``line`` of a predictions file, 0 of another."""

    diff: bytes
    span: Span
    agent: str
    onto: str = ""
    line: int = 0


class _Prediction(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a predictions file; ``patch`` is the diff itself."""

    record: int | str
    agent: str
    patch: str
    onto: str = ""


def read(arena: Arena, source: str, span: Span | None, agent: str, onto: str = "") -> list[HandIn]:
    """Everything that ``source`` hands in, checked as a whole before anything is stored.

    ``onto``: the submission that the diff is against (see ``tournament.find_ground``).

    Raises:
        UsageError: the source is absent, its record is not named, a line of a predictions file is wrong, or there is
            nothing to build on.
    """
    if source.endswith(PREDICTIONS):
        handins = _read_predictions(Path(source), span, onto)
        for one in handins:
            check_name(one.agent)
            _find_commit(arena, one.span, one.agent, one.onto)
        return handins
    if span is None:
        raise UsageError("which record is it for?", "say --record N")
    check_name(agent)
    commit = _find_commit(arena, span, agent, onto)
    return [HandIn(read_diff(arena, source, span, commit), span, agent, onto)]


def check_readable(arena: Arena, handins: Sequence[HandIn], strict: bool = False) -> None:
    """Of several diffs each must be one before any of them is stored; a diff that is rejected is one all the same.

    Raises:
        UsageError: names every line of the predictions that is none.
    """
    from patchrun.services import tournament, validator

    problems = []
    for one in handins if len(handins) > 1 else ():
        ground = tournament.find_ground(arena, one.span, one.agent, one.onto)
        try:
            track = arena.track.at_record(ground.span.first)
            validator.check_readable(arena.repo, track, ground.commit, one.diff, strict)
        except UnreadableDiff as error:
            problems.append(f"line {one.line} ({one.agent}, record {one.span}): {error.message}")
    if problems:
        raise UsageError(
            "\n".join(problems),
            "nothing was stored; mend these lines, or say --keep-going to keep them as rejected attempts",
        )


def _find_commit(arena: Arena, span: Span, agent: str, onto: str) -> str | None:
    """The code that is built on; None where that is the baseline."""
    if not onto:
        return None
    from patchrun.services.tournament import find_ground  # scoring and numpy come with it

    return find_ground(arena, span, agent, onto).commit


def read_diff(arena: Arena, source: str, span: Span, commit: str | None = None) -> bytes:
    """The bytes of a diff file, of standard input (``-``), or of an edited checkout its diff against ``commit``.

    ``commit`` None is the baseline of ``span``.
    """
    path = Path(source)
    if source != "-" and path.is_dir():
        diff = diff_of_folder(arena, span, path, commit)
        if not diff:
            what = "the code that it builds on" if commit else f"baseline {span.first}"
            raise UnreadableDiff(f"{source} does not differ from {what}", "edit it first")
        return diff
    limit = MOST_BYTES + 1
    try:
        if source == "-":
            return sys.stdin.buffer.read(limit)
        with path.open("rb") as file:
            return file.read(limit)
    except OSError as error:
        raise UsageError(
            f"cannot read {source}: {error.strerror}", "name a diff file, a checkout, or -"
        ) from None


def _read_predictions(path: Path, span: Span | None, onto: str) -> list[HandIn]:
    if span is not None or onto:
        raise UsageError(
            "a predictions file names its records itself, and what it builds on",
            'leave --record and --onto out; a line may hold "onto": ID',
        )
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", "name a file of predictions, one a line"
        ) from None
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    found = [_read_prediction(path, number, line) for number, line in numbered]
    if not found:
        raise UsageError(
            f"{path} has no predictions", 'one a line: {"record": 5, "agent": "me", "patch": "diff ..."}'
        )
    return found


def _read_prediction(path: Path, number: int, line: bytes) -> HandIn:
    try:
        entry = msgspec.json.decode(line, type=_Prediction)
        span = parse_span(str(entry.record))
        return HandIn(entry.patch.encode("utf-8", "surrogatepass"), span, entry.agent, entry.onto, number)
    except (msgspec.MsgspecError, UsageError, UnicodeError, RecursionError) as error:
        text = str(error).splitlines()[0]
        raise UsageError(
            f"{path}:{number}: not a prediction: {text}", "nothing was stored; mend it and repeat"
        ) from None
