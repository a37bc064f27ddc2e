"""Ask a language model what it thinks of a patch, rule by rule: findings that ask a person, decisions never."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from msgspec.structs import replace

from patchrun.adapters.claude import Client, Failure, known_secrets, make_schema, read_answer
from patchrun.core.codes import make_finding
from patchrun.core.findings import Finding
from patchrun.core.judging import Exhibit, Opinions, read_opinions, wrap_data
from patchrun.core.rubric import Rubric, choose_rules, load_rubric, write_question, write_system
from patchrun.core.scrub import scrub
from patchrun.core.usage import PriceTable, Usage, add_costs, cost_usd, say_cost

if TYPE_CHECKING:
    from patchrun.adapters.gitrepo import GitRepo
    from patchrun.core.track import Track
    from patchrun.services.validator import Validation

DEFAULT_MODEL = "claude-opus-5-5"
MAX_TOKENS = 16_000
MOST_CHARACTERS = 600_000
PLAIN_FILES = ("100644", "100755")


@dataclass(frozen=True)
class Judgement:
    """What came of asking: findings (PR6xx), tokens by request, and USD where the model's price is known."""

    findings: tuple[Finding, ...]
    usages: tuple[Usage, ...]
    usd: float | None


def judge(
    repo: GitRepo, track: Track, validation: Validation, client: Client, prices: PriceTable
) -> Judgement:
    """Show the diff and every file of the patched tree to the model; whatever goes wrong is a finding (PR603).

    ``track`` as it is at the record. A patch that cannot be applied is not shown to anyone.
    """
    if validation.tree is None:
        return _silent("there is no patched code: git refused the diff", ())
    exhibit = _read_exhibit(repo, validation)
    size = len(exhibit.diff) + sum(len(text or "") for text in exhibit.files.values())
    if size > MOST_CHARACTERS:
        return _silent(f"{size:,} characters of diff and files are too many for one question", ())
    rubric = read_rubric()
    reply = client.ask(
        write_system(rubric, track),
        [{"role": "user", "content": write_question(rubric, track, *_wrap(exhibit))}],
        max_tokens=MAX_TOKENS,
        schema=_make_schema(rubric, track),
    )
    answer = reply if isinstance(reply, Failure) else read_answer(reply, Opinions)
    usd = add_costs(cost_usd(usage, client.model, prices) for usage in reply.usages)
    if isinstance(answer, Failure):
        return _silent(str(answer), reply.usages, usd)
    found = read_opinions(_scrub(answer).opinions, choose_rules(rubric, track), exhibit, client.model)
    note = make_finding(
        "PR604", f"{_sum_up(answer, rubric, track, client.model, exhibit)} (cost: {say_cost(usd)})"
    )
    return Judgement((*found, note), reply.usages, usd)


def _sum_up(answer: Opinions, rubric: Rubric, track: Track, model: str, exhibit: Exhibit) -> str:
    ids = {rule.id for rule in choose_rules(rubric, track)}
    answered = ids & {one.rule for one in answer.opinions}
    broken = {one.rule for one in answer.opinions if one.violated == "yes"} & ids
    files = f"{len(exhibit.files)} file{'' if len(exhibit.files) == 1 else 's'}"
    return f"{model} saw the diff and {files}, answered on {len(answered)} of {len(ids)} rules: {len(broken)} broken"


def make_reviewer(
    repo: GitRepo, track: Track, client: Client, prices: PriceTable, tell: Callable[[Judgement], None]
) -> Callable[[Validation], Validation]:
    """A function that adds the judge's findings to those of an accepted patch; one that is rejected costs nothing."""
    from patchrun.services.validator import add_findings

    def review(validation: Validation) -> Validation:
        if not validation.accepted:
            return validation
        judgement = judge(repo, track, validation, client, prices)
        tell(judgement)
        return add_findings(validation, judgement.findings)

    return review


def read_rubric() -> Rubric:
    """The rubric that the package ships."""
    return load_rubric(files("patchrun").joinpath("prompts/judge.toml").read_text(encoding="utf-8"))


def _silent(why: str, usages: tuple[Usage, ...], usd: float | None = 0.0) -> Judgement:
    return Judgement((make_finding("PR603", f"the judge did not answer: {why}"),), usages, usd)


def _read_exhibit(repo: GitRepo, validation: Validation) -> Exhibit:
    assert validation.tree
    entries = {
        path: entry for path, entry in repo.files(validation.tree).items() if entry.mode in PLAIN_FILES
    }
    blobs = dict(zip(entries, repo.read_many(entry.oid for entry in entries.values()), strict=True))
    texts = {path: _decode(blob or b"") for path, blob in blobs.items()}
    sizes = {path: len(blob or b"") for path, blob in blobs.items()}
    return Exhibit(validation.diff.decode("utf-8", "replace"), texts, sizes)


def _decode(blob: bytes) -> str | None:
    try:
        return None if b"\0" in blob else blob.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _wrap(exhibit: Exhibit) -> tuple[str, str]:
    """A number that the exhibit does not hold, and the exhibit between markers that carry it."""
    while True:
        token = secrets.token_hex(16)
        if (data := wrap_data(exhibit, token)) is not None:
            return token, data


def _make_schema(rubric: Rubric, track: Track) -> dict[str, object]:
    """The schema of the answer; a rule can only be named by an id that exists."""
    schema = make_schema(Opinions)
    ids = [rule.id for rule in choose_rules(rubric, track)]
    schema["$defs"]["Opinion"]["properties"]["rule"] = {"enum": ids}
    return schema


def _scrub(answer: Opinions) -> Opinions:
    """The answer without anything that looks like a key: the code may hold one, and findings are stored."""
    hidden = known_secrets()
    return Opinions(tuple(replace(one, reason=scrub(one.reason, hidden)) for one in answer.opinions))
