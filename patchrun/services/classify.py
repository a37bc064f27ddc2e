"""Label changes by depth and provenance: ask a model several times, or take a person's word; keep who said so."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from patchrun.adapters.claude import Client, Failure, known_secrets, make_schema, read_answer
from patchrun.adapters.store import Arena
from patchrun.core.agentnames import check_words
from patchrun.core.changelabel import Answer, ChangeLabel, Sample, choose, read_sample
from patchrun.core.errors import SetupError, UsageError
from patchrun.core.labelprompt import write_question, write_system
from patchrun.core.labels import LabelRubric
from patchrun.core.results import Attempt
from patchrun.core.scrub import scrub
from patchrun.core.usage import PriceTable, Usage, add_costs, cost_usd
from patchrun.services.labelbook import read_rubric
from patchrun.services.tournament import now

DEFAULT_MODEL = "claude-opus-5-5"
MAX_TOKENS = 16_000
MOST_CHARACTERS = 600_000
HOPELESS = ("no-key", "wrong-key", "forbidden", "billing", "unknown-model")  # asking again changes nothing


@dataclass(frozen=True)
class Subject:
    """A change to label: an attempt's id or ``h12``, the record that it is made to, its diff."""

    name: str
    record: str
    diff: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.diff).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What came of one subject: its label, None where no sample counts; ``known``: it was there before."""

    subject: Subject
    label: ChangeLabel | None
    failures: tuple[str, ...] = ()
    known: bool = False


def find_subjects(
    arena: Arena, ids: Iterable[str], everything: bool, records: Sequence[int] | None
) -> list[Subject]:
    """The changes that were named: attempts by id, every accepted one, human patches by record.

    Raises:
        UsageError: none is named, an id is not known, or a record has no human patch.
    """
    found = [of_attempt(arena, arena.attempt(name)) for name in ids]
    if everything:
        named = {subject.name for subject in found}
        new = (one for one in arena.attempts() if one.accepted and one.id not in named)
        found += [of_attempt(arena, one) for one in new]
    found += [of_human(arena, number) for number in records or ()]
    if not found:
        raise UsageError(
            "nothing to label", "name a submission, or say --all, or --record SET for human patches"
        )
    return found


def of_attempt(arena: Arena, attempt: Attempt) -> Subject:
    return Subject(attempt.id, attempt.record, arena.diff(attempt.id))


def of_human(arena: Arena, number: int) -> Subject:
    """The human patch of a record; UsageError where it has none."""
    arena.ladder.get(number)
    commit = arena.human(number)
    if commit is None:
        raise UsageError(
            f"record {number} has no human patch", "`patchrun records` shows which records have one"
        )
    return Subject(f"h{number}", str(number), arena.repo.diff(arena.baseline(number), commit))


def label_by_hand(
    arena: Arena, subject: Subject, depth: str, provenance: str, reason: str, by: str, key: Path | None = None
) -> ChangeLabel:
    """Keep what a person says of a change, signed with ``key`` if there is one.

    Raises:
        UsageError: a reason or a name is missing.
    """
    if not reason.strip() or not by.strip():
        raise UsageError("a label needs a reason and who gives it", "say --reason TEXT, and --by NAME")
    check_words(reason, "the reason")
    check_words(by, "the name of who says so")
    label = ChangeLabel(
        subject=subject.name, diff_sha256=subject.digest, source="human", by=by.strip(), depth=depth,
        provenance=provenance, reason=" ".join(reason.split()), rubric=read_rubric().digest, created=now(),
    )  # fmt: skip
    arena.add_label(label, key)
    return label


def classify(
    arena: Arena,
    subjects: Sequence[Subject],
    client: Client,
    prices: PriceTable,
    samples: int,
    *,
    again: bool = False,
    key: Path | None = None,
    tell: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Ask ``samples`` times about each subject and keep what comes of it; each label is stored as soon as it is there.

    A subject that this model labelled by this rubric on as many samples is not asked about, unless ``again``.

    Raises:
        SetupError: there is no use in asking: no key, a wrong one, no credit, no such model.
    """
    rubric = read_rubric()
    known = [] if again else [one.label for one in arena.labels()]
    outcomes = []
    for subject in subjects:
        before = next((one for one in known if _is_same(one, subject, client.model, rubric, samples)), None)
        outcome = (
            Outcome(subject, before, known=True)
            if before
            else _ask(arena, subject, client, prices, samples, rubric)
        )
        if outcome.label and not outcome.known:
            arena.add_label(outcome.label, key)
        tell(outcome)
        outcomes.append(outcome)
    return outcomes


def _is_same(label: ChangeLabel, subject: Subject, model: str, rubric: LabelRubric, samples: int) -> bool:
    asked = (label.subject, label.diff_sha256, label.by, label.rubric, label.source)
    return (
        asked == (subject.name, subject.digest, model, rubric.digest, "model")
        and len(label.samples) >= samples
    )


def _ask(
    arena: Arena, subject: Subject, client: Client, prices: PriceTable, samples: int, rubric: LabelRubric
) -> Outcome:
    diff = subject.diff.decode("utf-8", "replace")
    if not diff.strip():
        return Outcome(subject, None, ("its diff is empty: nothing in the code changes",))
    if len(diff) > MOST_CHARACTERS:
        return Outcome(subject, None, (f"a diff of {len(diff):,} characters is too long for one question",))
    question = _write_question(rubric, arena.track.title, subject.record, diff)
    kept: list[Sample] = []
    failures: list[str] = []
    usages: list[Usage] = []
    for _ in range(samples):
        found, used = _ask_once(client, write_system(rubric), question, diff)
        usages += used
        if isinstance(found, Sample):
            kept.append(found)
        else:
            failures.append(found)
    if not kept:
        return Outcome(subject, None, tuple(failures))
    voice = choose(kept)
    label = ChangeLabel(
        subject=subject.name, diff_sha256=subject.digest, source="model", by=client.model, depth=voice.depth,
        provenance=voice.provenance, reason=voice.reason, rubric=rubric.digest, samples=tuple(kept),
        failures=tuple(failures), usage=sum(usages, Usage()),
        usd=add_costs(cost_usd(usage, client.model, prices) for usage in usages), created=now(),
    )  # fmt: skip
    return Outcome(subject, label, tuple(failures))


def _ask_once(client: Client, system: str, question: str, diff: str) -> tuple[Sample | str, Sequence[Usage]]:
    """One sample, or why there is none, and what it used."""
    reply = client.ask(
        system, [{"role": "user", "content": question}], max_tokens=MAX_TOKENS, schema=make_schema(Answer)
    )
    answer = reply if isinstance(reply, Failure) else read_answer(reply, Answer)
    if isinstance(answer, Failure):
        if answer.kind in HOPELESS:
            raise SetupError(
                f"no model can be asked: {answer}",
                "set it and try again, or label by hand: --depth, --provenance and --reason",
            )
        return str(answer), reply.usages
    return read_sample(_scrub(answer), diff), reply.usages


def _scrub(answer: Answer) -> Answer:
    """Without anything that looks like a key: the diff may hold one, and labels are stored and shared."""
    hidden = known_secrets()
    quotes = tuple(scrub(quote, hidden) for quote in answer.quotes)
    return Answer(scrub(answer.reason, hidden), quotes, answer.depth, answer.provenance, answer.confidence)


def _write_question(rubric: LabelRubric, title: str, record: str, diff: str) -> str:
    while True:
        question = write_question(rubric, title, record, diff, secrets.token_hex(16))
        if question is not None:
            return question
