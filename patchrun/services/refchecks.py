"""What each ref of an arena must hold: readable content, a name that fits it, an id that follows from it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import msgspec

from patchrun.adapters.ablations import ABLATIONS, stage_name
from patchrun.adapters.ablations import FILE as ABLATION_FILE
from patchrun.adapters.finalrounds import FINALS, REVEALS
from patchrun.adapters.heldout import digest_tokens
from patchrun.adapters.jobbook import JOBS, job_ref
from patchrun.adapters.keys import commitment, find_key
from patchrun.adapters.labels import LABELS, label_name
from patchrun.adapters.objects import Questions
from patchrun.adapters.store import (
    ALSO,
    ATTEMPTS,
    EXTRA,
    RESULTS,
    RUNS,
    STOPS,
    STUDIES,
    SUBMISSIONS,
    VERDICTS,
    Arena,
    own_name,
    run_name,
    stop_name,
)  # fmt: skip
from patchrun.adapters.transcripts import TRANSCRIPTS
from patchrun.core import plan, racejudge, results
from patchrun.core.chains import attempt_id, check_link
from patchrun.core.changelabel import BROKEN, ChangeLabel
from patchrun.core.errors import ArenaError, PatchrunError
from patchrun.core.halting import judge_halt
from patchrun.core.logfacts import Ingest
from patchrun.core.results import (
    Attempt,
    FinalRound,
    Job,
    Reveal,
    Ruling,
    Run,
    StopRecord,
    Study,
    content_id,
)
from patchrun.core.stages import Stage
from patchrun.core.trainlog import MAX_BYTES
from patchrun.core.transcripts import TURNS_BYTES, Transcript, transcript_id
from patchrun.services.held import Held, Known
from patchrun.services.pieces import Patchwork
from patchrun.services.probechecks import is_caught, is_realised
from patchrun.services.upstream_logs import INGESTS

CHUNK = 500  # refs that one thread takes at once
UNSOUND = (PatchrunError, msgspec.MsgspecError, ValueError, OSError, EOFError, RecursionError, zlib.error)


def problems_of(arena: Arena, refs: Mapping[str, str], known: Mapping[str, str]) -> list[str]:
    """What is wrong with each ref: unreadable content, a name that does not fit it, an id that does not follow.

    ``known``: all refs that are there, ``refs`` included. A version of ``also`` is checked as what it is another
    version of. As many threads as there are cores take the refs some at a time: git's processes do most of the work.
    """
    problems = [f"{name}: not named by its content" for name, commit in refs.items()
                if name.startswith(ALSO) and name.rpartition("/")[2] != commit[:12]]  # fmt: skip
    names = Known(known)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        try:
            found = pool.map(lambda some: _check_some(arena, names, *some), _chunks(refs))
            return problems + [problem for some in found for problem in some]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _chunks(refs: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Kind (its prefix) and some refs of that kind, until all have been given."""
    for prefix in _CHECKS:
        both = (prefix, ALSO + prefix.removeprefix(RESULTS))
        own = ((name, commit) for name, commit in refs.items() if name.startswith(both))
        while some := dict(islice(own, CHUNK)):
            yield prefix, some


def _check_some(arena: Arena, known: Known, prefix: str, refs: Mapping[str, str]) -> list[str]:
    problems, file = [], _FILES[prefix]
    with Questions(arena.repo) as ask:
        held = Held(arena, known, ask, refs.values())
        for name, commit in refs.items():
            try:
                data = ask.find(f"{commit}:{file}" if file else f"{commit}^{{commit}}")
                if data is None:
                    raise ArenaError(f"holds no {file or 'commit'}")
                _CHECKS[prefix](held, own_name(name), commit, data)
            except UNSOUND as error:
                problems.append(f"{name}: {error}")
    return problems


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise ArenaError(problem)


def _check_attempt(held: Held, name: str, commit: str, data: bytes) -> None:
    attempt = results.decode(data, Attempt, name)
    diff = held.ask.read(f"{commit}:patch.diff")
    content = attempt.patched_tree if attempt.accepted else content_id(diff.hex())
    baseline = held.tree_of(attempt.baseline_commit)
    parts = (
        attempt.track_digest,
        attempt.record,
        attempt.hint_tiers,
        baseline,
        content,
        attempt.agent,
        attempt.onto,
    )
    _require(name == ATTEMPTS + attempt.id, f"named {attempt.id} inside")
    _require(attempt.id == attempt_id(*parts), "its id does not follow from its content")
    _require(held.arena.baseline(attempt.span.first) == attempt.baseline_commit, "made on another baseline")
    _require(
        attempt.accepted == (SUBMISSIONS + attempt.id in held.known), "accepted, but its submission is absent"
    )
    ground = _check_onto(held, attempt) if attempt.onto else baseline
    if attempt.accepted:
        _require(held.gives(ground, diff, attempt.patched_tree), "its diff does not give its tree")


def _check_onto(held: Held, attempt: Attempt) -> str:
    """The tree of the submission that an attempt builds on, which must be one that it could build on."""
    _require(SUBMISSIONS + attempt.onto in held.known, f"builds on {attempt.onto}, which is absent")
    base = held.attempt(attempt.onto)
    if problem := check_link(attempt, base):
        raise ArenaError(problem)
    return base.patched_tree


def _check_submission(held: Held, name: str, commit: str, data: bytes) -> None:
    _require(ATTEMPTS + name.removeprefix(SUBMISSIONS) in held.known, "has no attempt")
    attempt = held.attempt(name.removeprefix(SUBMISSIONS))
    head = data.decode("utf-8", "replace").split("\n\n", 1)[0].splitlines()
    _require(f"tree {attempt.patched_tree}" in head, "its tree is not the one that was validated")
    parent = held.known.get(SUBMISSIONS + attempt.onto) if attempt.onto else attempt.baseline_commit
    _require(
        [f"parent {parent}"] == [line for line in head if line.startswith("parent ")],
        "its parent is not the submission that it builds on"
        if attempt.onto
        else "its parent is not its baseline",
    )


def _check_study(held: Held, name: str, commit: str, data: bytes) -> None:
    study = results.decode(data, Study, name)
    _require(name == STUDIES + study.id, f"named {study.id} inside")
    _require((study.seed_source == "final") == bool(study.final), "is of a final round, or is not")
    _require(
        not study.final or FINALS + study.final in held.known, f"its final round {study.final} is absent"
    )
    for arm in study.arms:
        _require(held.tree_of(arm.commit) == arm.tree, f"arm {arm.name} has another tree than its commit")
    if (secret := _secret_of(held, study)) and (key := find_key(secret)):
        drawn = plan.derive_seeds(key, study.id, study.blocks)
        _require(study.seeds == drawn, "its seeds are not those that the owner's key gives")
        made = plan.derive_secret(key, study.id)
        _require(study.secret in ("", made), "its secret is not the one that the owner's key gives")
    _require(bool(study.secret) or study.seed_source != "probe", "is a probe without a secret")


def _secret_of(held: Held, study: Study) -> str:
    """The commitment to the key that made a study's seeds; empty where they are no secret."""
    if study.final:
        return _read_final(held, study.final).key_commitment
    return held.arena.identity if study.seed_source in ("scoring", "probe") else ""


def _read_final(held: Held, name: str) -> FinalRound:
    return results.decode(held.ask.read(f"{held.known[FINALS + name]}:final.json"), FinalRound, name)


def _check_run(held: Held, name: str, commit: str, data: bytes) -> None:
    run = results.decode(data, Run, name)
    _require(name == RUNS + run_name(run), f"named {run_name(run)} inside")
    _require(STUDIES + run.study in held.known, f"its study {run.study} is absent")
    study = held.study(run.study)
    arm = next((arm for arm in study.arms if arm.name == run.arm), None)
    _require(arm is not None and arm.tree == run.tree, "trained another tree than its study plans")
    _require(run.final == study.final, "its loss is on other tokens than its study is about")
    _require(0 <= run.block < study.blocks and study.seeds[run.block] == run.seed, "not a slot of its study")
    _require((study.seed_source == "probe") or run.probe is None, "is no probe, and says that it is")
    if run.probe is not None:
        _require(
            is_realised(held.arena.track, study, run.probe), "its tokens do not have the entropy that it says"
        )
    if run.exit == "stopped" and run.track_digest == study.track_digest == held.arena.track.digest:
        halted = judge_halt(held.arena.track, study, held.runs_of(study), run)
        _require(halted, "its study's runs do not stop it where it was stopped")


def _check_extra(held: Held, name: str, commit: str, data: bytes) -> None:
    run = results.decode(data, Run, name)
    _require(name.startswith(EXTRA + run_name(run)), f"named {run_name(run)} inside")


def _check_stop(held: Held, name: str, commit: str, data: bytes) -> None:
    stop = results.decode(data, StopRecord, name)
    _require(name == STOPS + stop_name(stop), f"named {stop_name(stop)} inside")
    _require(STUDIES + stop.study in held.known, f"its study {stop.study} is absent")
    study = held.study(stop.study)
    arms = {arm.name for arm in study.arms if arm.kind == "submission"}
    _require(stop.arm in arms, "its study has no such submission")
    if stop.quantity == "rank":
        _require(_is_one_agents(held, stop), "its group is not one agent's own submissions")
    if stop.track_digest == study.track_digest == held.arena.track.digest:
        _require(_ends_again(held, study, stop), "its study's runs do not end that arm")


def _ends_again(held: Held, study: Study, stop: StopRecord) -> bool:
    if stop.quantity == "probe":
        return is_caught(held, _studies_held(held), study, stop)
    return racejudge.judge_again(held.arena.track, study, held.runs_of(study), stop)


def _is_one_agents(held: Held, stop: StopRecord) -> bool:
    """Each arm of the group was handed in by the same agent."""
    own = [name for name in stop.group if ATTEMPTS + name in held.known]
    agents = {held.attempt(name).agent for name in own}
    return len(own) == len(stop.group) and len(agents) == 1


def _check_ingest(held: Held, name: str, commit: str, data: bytes) -> None:
    """Named by its content; of a user's own logs each text is there, with the digest that its fact states."""
    ingest = results.decode(data, Ingest, name)
    _require(
        name == INGESTS + hashlib.sha256(data).hexdigest()[:20], "its name does not follow from its content"
    )
    if ingest.source != "own":
        return
    for fact in ingest.logs:
        packed = held.ask.read(f"{commit}:logs/{fact.digest[:20]}.gz")
        text = gzip.GzipFile(fileobj=io.BytesIO(packed)).read(MAX_BYTES + 1)
        _require(hashlib.sha256(text).hexdigest() == fact.digest, f"the text of {fact.path} is another one")


def _check_final(held: Held, name: str, commit: str, data: bytes) -> None:
    final = results.decode(data, FinalRound, name)
    _require(
        name == FINALS + final.id == FINALS + final.expected_id, "its id does not follow from its content"
    )


def _check_reveal(held: Held, name: str, commit: str, data: bytes) -> None:
    """The key and tokens are those that were promised, and the seeds of the round's studies follow from the key."""
    reveal = results.decode(data, Reveal, name)
    _require(name == REVEALS + reveal.final, f"about {reveal.final} inside")
    _require(FINALS + reveal.final in held.known, f"its final round {reveal.final} is absent")
    final, key = _read_final(held, reveal.final), bytes.fromhex(reveal.key)
    _require(commitment(key) == final.key_commitment, "its key is not the one that was committed to")
    tokens = held.ask.find(f"{commit}:held_out.bin")
    promised = tokens is None or digest_tokens(key, tokens) == final.tokens_digest
    _require(promised, "its tokens are not the ones that were committed to")
    for study in _studies_of(held, final):
        seeds = plan.derive_seeds(key, study.id, study.blocks)
        _require(study.seeds == seeds, f"the seeds of study {study.id} do not follow from its key")


def _studies_of(held: Held, final: FinalRound) -> Iterator[Study]:
    return (study for study in _studies_held(held) if study.final == final.id)


def _studies_held(held: Held) -> Iterator[Study]:
    names = (name.removeprefix(STUDIES) for name in held.known if name.startswith(STUDIES))
    return map(held.study, names)


def _check_ruling(held: Held, name: str, commit: str, data: bytes) -> None:
    ruling = results.decode(data, Ruling, name)
    _require(name.startswith(f"{VERDICTS}{ruling.submission}/"), f"about {ruling.submission} inside")


def _check_label(held: Held, name: str, commit: str, data: bytes) -> None:
    """About a change that is there, named by its content, and signed, if at all, as what it is."""
    label = results.decode(data, ChangeLabel, name)
    _require(name == LABELS + label_name(label), f"named {label_name(label)} inside")
    _require(
        ATTEMPTS + label.subject in held.known or _is_human(held.arena, label.subject),
        f"{label.subject} is not here",
    )
    _require(held.signer(commit) != BROKEN, "its signature is of something else")


def _is_human(arena: Arena, subject: str) -> bool:
    return bool(arena.code.get(f"refs/patchrun/human/{subject[1:]}")) and subject.startswith("h")


def _check_transcript(held: Held, name: str, commit: str, data: bytes) -> None:
    """Named by its search and number; its turns can be read, and what it handed in is there and is its diff."""
    one = results.decode(data, Transcript, name)
    _require(name == TRANSCRIPTS + one.id, f"named {one.id} inside")
    made = transcript_id(one.search, one.number, one.created)
    _require(one.id == made, "its id does not follow from its search, number and time")
    packed = held.ask.read(f"{commit}:turns.json.gz")
    json.loads(gzip.GzipFile(fileobj=io.BytesIO(packed)).read(2 * TURNS_BYTES))
    if one.submission:
        _require(ATTEMPTS + one.submission in held.known, f"its submission {one.submission} is absent")
        stored = held.attempt(one.submission)
        same = (stored.agent, stored.record, stored.hint_tiers) == (one.agent, one.record, one.hint_tiers)
        _require(same, "its submission is another agent's, or for another record or other hints")


def _check_ablation(held: Held, name: str, commit: str, data: bytes) -> None:
    """Its arms are the stored pieces put on the baseline, and its study is one that never ranks."""
    stage = results.decode(data, Stage, name)
    _require(name == ABLATIONS + stage_name(stage, data), "its name does not follow from its content")
    _require(ATTEMPTS + stage.submission in held.known, f"its submission {stage.submission} is absent")
    _require(STUDIES + stage.study in held.known, f"its study {stage.study} is absent")
    attempt, study = held.attempt(stage.submission), held.study(stage.study)
    _require(study.seed_source == "ablation", "its study is no study of an ablation")
    drawn = plan.derive_seeds(study.id.encode(), study.id, study.blocks)
    _require(study.seeds == drawn, "its seeds do not follow from its study's id")
    arms = {arm.name: arm for arm in study.arms}
    patchwork = Patchwork(held.arena, attempt, stage.pieces)
    for variant in stage.variants:
        _require(variant.arm in arms, f"its study has no arm {variant.arm}")
        _require(set(variant.pieces) <= patchwork.everything, "a variant of pieces that there are not")
        _require(
            patchwork.makes(variant.pieces, arms[variant.arm].tree, arms[variant.arm].ast_digest),
            f"arm {variant.arm} is not the baseline with pieces {', '.join(str(k + 1) for k in variant.pieces)}",
        )


def _check_job(held: Held, name: str, commit: str, data: bytes) -> None:
    job = results.decode(data, Job, name)
    _require(name == JOBS + job_ref(job), f"named {job_ref(job)} inside")
    _require(STUDIES + job.study in held.known, f"its study {job.study} is absent")


_CHECKS = {
    ATTEMPTS: _check_attempt,
    SUBMISSIONS: _check_submission,
    STUDIES: _check_study,
    RUNS: _check_run,
    EXTRA: _check_extra,
    STOPS: _check_stop,
    VERDICTS: _check_ruling,
    TRANSCRIPTS: _check_transcript,
    FINALS: _check_final,
    REVEALS: _check_reveal,
    LABELS: _check_label,
    INGESTS: _check_ingest,
    ABLATIONS: _check_ablation,
    JOBS: _check_job,
}
_FILES = {
    ATTEMPTS: "attempt.json",
    SUBMISSIONS: "",
    STUDIES: "study.json",
    RUNS: "run.json",
    EXTRA: "run.json",
    STOPS: "stop.json",
    VERDICTS: "ruling.json",
    TRANSCRIPTS: "transcript.json",
    FINALS: "final.json",
    REVEALS: "reveal.json",
    LABELS: "label.json",
    INGESTS: "ingest.json",
    ABLATIONS: ABLATION_FILE,
    JOBS: "job.json",
}
