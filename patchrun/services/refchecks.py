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
from patchrun.adapters.keys import commitment
from patchrun.adapters.labels import LABELS, label_name
from patchrun.adapters.objects import Questions
from patchrun.adapters.signed import SIGNED
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
    extra_name,
    own_name,
    run_name,
    stop_name,
)  # fmt: skip
from patchrun.adapters.transcripts import TRANSCRIPTS
from patchrun.adapters.vouches import FILE as VOUCH_FILE
from patchrun.adapters.vouches import VOUCHES, vouch_name
from patchrun.core import plan, racejudge, results
from patchrun.core.agentnames import find_problem, find_words_problem, fold_name, is_same
from patchrun.core.changelabel import BROKEN, ChangeLabel
from patchrun.core.errors import ArenaError, PatchrunError
from patchrun.core.halting import judge_halt
from patchrun.core.logfacts import Ingest
from patchrun.core.logjudge import judge_again
from patchrun.core.results import (
    FinalRound,
    Job,
    Reveal,
    Ruling,
    Run,
    StopRecord,
    Study,
)
from patchrun.core.stages import Stage
from patchrun.core.studyfaults import HUMAN
from patchrun.core.trainlog import MAX_BYTES
from patchrun.core.transcripts import TURNS_BYTES, Transcript, transcript_id
from patchrun.core.vouching import Vouch
from patchrun.services.cargo import find_cargo
from patchrun.services.claimchecks import check_attempt, check_study, check_submission
from patchrun.services.held import Held, Known, require
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
    problems = [
        f"{name}: {problem}" for name, commit in refs.items() if (problem := _check_name(name, commit, known))
    ]
    names = Known(known)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        try:
            cargo = pool.submit(find_cargo, arena.repo, refs)
            found = [problem for some in pool.map(lambda some: _check_some(arena, names, *some), _chunks(refs))
                     for problem in some]  # fmt: skip
            bad = {problem.partition(": ")[0] for problem in found}
            more = [problem for problem in cargo.result() if problem.partition(": ")[0] not in bad]
            return problems + found + more
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _check_name(name: str, commit: str, known: Mapping[str, str]) -> str:
    """What is wrong with a name as such: of no kind that there is, or no version of what it says."""
    if not name.startswith(ALSO):
        return "" if name.startswith((*_CHECKS, HUMAN)) else "is of no kind that an arena holds"
    own = own_name(name)
    if not own.startswith(tuple(_CHECKS)):
        return "is a version of nothing that has versions"
    if name.rpartition("/")[2] != commit[:12]:
        return "not named by its content"
    return "" if own in known else "is a version of a name that is not there"


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
        held = Held(arena, known, ask, refs)
        for name, commit in refs.items():
            try:
                data = ask.find(f"{commit}:{file}" if file else f"{commit}^{{commit}}")
                if data is None:
                    raise ArenaError(f"holds no {file or 'commit'}")
                _CHECKS[prefix](held, own_name(name), commit, data)
            except UNSOUND as error:
                problems.append(f"{name}: {error}")
    return problems


def _require_plain(*texts: str) -> None:
    """Free text holds nothing that steers what shows it."""
    for text in texts:
        problem = find_words_problem(text)
        require(not problem, f"its text {problem}")


def _check_run(held: Held, name: str, commit: str, data: bytes) -> None:
    run = results.decode(data, Run, name)
    require(name == RUNS + run_name(run), f"named {run_name(run)} inside")
    require(STUDIES + run.study in held.known, f"its study {run.study} is absent")
    study = held.study(run.study)
    arm = next((arm for arm in study.arms if arm.name == run.arm), None)
    require(arm is not None and arm.tree == run.tree, "trained another tree than its study plans")
    _require_plain(run.machine.host, run.machine.cpu)
    require(run.final == study.final, "its loss is on other tokens than its study is about")
    require(0 <= run.block < study.blocks and study.seeds[run.block] == run.seed, "not a slot of its study")
    if problem := judge_again(run):
        raise ArenaError(problem)
    require(study.seed_source == "probe" or run.probe is None, "is no probe, and says that it is")
    if run.probe is not None:
        realised = is_realised(held.arena.track, study, run.probe)
        require(realised, "its tokens do not have the entropy that it says")
    if run.exit == "stopped" and run.track_digest == study.track_digest == held.arena.track.digest:
        halted = judge_halt(held.arena.track, study, held.runs_of(study), run)
        require(halted, "its study's runs do not stop it where it was stopped")


def _check_extra(held: Held, name: str, commit: str, data: bytes) -> None:
    run = results.decode(data, Run, name)
    require(name.startswith(EXTRA + run_name(run)), f"named {run_name(run)} inside")
    require(name == extra_name(run), "its name does not follow from its content")


def _check_stop(held: Held, name: str, commit: str, data: bytes) -> None:
    stop = results.decode(data, StopRecord, name)
    require(name == STOPS + stop_name(stop), f"named {stop_name(stop)} inside")
    require(STUDIES + stop.study in held.known, f"its study {stop.study} is absent")
    study = held.study(stop.study)
    arms = {arm.name for arm in study.arms if arm.kind == "submission"}
    require(stop.arm in arms, "its study has no such submission")
    if stop.quantity == "rank":
        require(_is_one_agents(held, stop), "its group is not one agent's own submissions")
    if stop.track_digest == study.track_digest == held.arena.track.digest:
        require(_ends_again(held, study, stop), "its study's runs do not end that arm")


def _ends_again(held: Held, study: Study, stop: StopRecord) -> bool:
    if stop.quantity == "probe":
        return is_caught(held, _studies_held(held), study, stop)
    return racejudge.judge_again(held.arena.track, study, held.runs_of(study), stop)


def _is_one_agents(held: Held, stop: StopRecord) -> bool:
    """Each arm of the group was handed in by the same agent."""
    own = [name for name in stop.group if ATTEMPTS + name in held.known]
    agents = {fold_name(held.attempt(name).agent) for name in own}
    return len(own) == len(stop.group) and len(agents) == 1


def _check_ingest(held: Held, name: str, commit: str, data: bytes) -> None:
    """Named by its content; of a user's own logs each text is there, with the digest that its fact states."""
    ingest = results.decode(data, Ingest, name)
    require(
        name == INGESTS + hashlib.sha256(data).hexdigest()[:20], "its name does not follow from its content"
    )
    if ingest.source != "own":
        return
    for fact in ingest.logs:
        packed = held.ask.read(f"{commit}:logs/{fact.digest[:20]}.gz")
        text = gzip.GzipFile(fileobj=io.BytesIO(packed)).read(MAX_BYTES + 1)
        require(hashlib.sha256(text).hexdigest() == fact.digest, f"the text of {fact.path} is another one")


def _check_final(held: Held, name: str, commit: str, data: bytes) -> None:
    final = results.decode(data, FinalRound, name)
    require(
        name == FINALS + final.id == FINALS + final.expected_id, "its id does not follow from its content"
    )


def _check_reveal(held: Held, name: str, commit: str, data: bytes) -> None:
    """The key and tokens are those that were promised, and the seeds of the round's studies follow from the key."""
    reveal = results.decode(data, Reveal, name)
    require(name == REVEALS + reveal.final, f"about {reveal.final} inside")
    require(FINALS + reveal.final in held.known, f"its final round {reveal.final} is absent")
    final, key = held.final(reveal.final), bytes.fromhex(reveal.key)
    require(commitment(key) == final.key_commitment, "its key is not the one that was committed to")
    tokens = held.ask.find(f"{commit}:held_out.bin")
    promised = tokens is None or digest_tokens(key, tokens) == final.tokens_digest
    require(promised, "its tokens are not the ones that were committed to")
    for study in _studies_of(held, final):
        seeds = plan.derive_seeds(key, study.id, study.blocks)
        require(study.seeds == seeds, f"the seeds of study {study.id} do not follow from its key")


def _studies_of(held: Held, final: FinalRound) -> Iterator[Study]:
    return (study for study in _studies_held(held) if study.final == final.id)


def _studies_held(held: Held) -> Iterator[Study]:
    names = (name.removeprefix(STUDIES) for name in held.known if name.startswith(STUDIES))
    return map(held.study, names)


def _check_ruling(held: Held, name: str, commit: str, data: bytes) -> None:
    ruling = results.decode(data, Ruling, name)
    require(name.startswith(f"{VERDICTS}{ruling.submission}/"), f"about {ruling.submission} inside")
    digest = hashlib.sha256(data).hexdigest()[:12]
    require(name == f"{VERDICTS}{ruling.submission}/{digest}", "its name does not follow from its content")
    _require_plain(ruling.reason, ruling.by)
    require(ATTEMPTS + ruling.submission in held.known, f"its submission {ruling.submission} is absent")


def _check_label(held: Held, name: str, commit: str, data: bytes) -> None:
    """About a change that is there, named by its content, and signed, if at all, as what it is."""
    label = results.decode(data, ChangeLabel, name)
    require(name == LABELS + label_name(label), f"named {label_name(label)} inside")
    require(
        ATTEMPTS + label.subject in held.known or _is_human(held.arena, label.subject),
        f"{label.subject} is not here",
    )
    _require_plain(label.reason, label.by)
    require(held.signer(commit) != BROKEN, "its signature is of something else")


def _is_human(arena: Arena, subject: str) -> bool:
    return bool(arena.code.get(f"refs/patchrun/human/{subject[1:]}")) and subject.startswith("h")


def _check_transcript(held: Held, name: str, commit: str, data: bytes) -> None:
    """Named by its search and number; its turns can be read, and what it handed in is there and is its diff."""
    one = results.decode(data, Transcript, name)
    require(name == TRANSCRIPTS + one.id, f"named {one.id} inside")
    require(not (bad := find_problem(one.agent)), f"its agent's name {bad}")
    _require_plain(one.model)
    made = transcript_id(one.search, one.number, one.created)
    require(one.id == made, "its id does not follow from its search, number and time")
    packed = held.ask.read(f"{commit}:turns.json.gz")
    json.loads(gzip.GzipFile(fileobj=io.BytesIO(packed)).read(2 * TURNS_BYTES))
    if one.submission:
        require(ATTEMPTS + one.submission in held.known, f"its submission {one.submission} is absent")
        stored = held.attempt(one.submission)
        same = (stored.record, stored.hint_tiers) == (one.record, one.hint_tiers) and is_same(
            stored.agent, one.agent
        )
        require(same, "its submission is another agent's, or for another record or other hints")


def _check_ablation(held: Held, name: str, commit: str, data: bytes) -> None:
    """Its arms are the stored pieces put on the baseline, and its study is one that never ranks."""
    stage = results.decode(data, Stage, name)
    require(name == ABLATIONS + stage_name(stage, data), "its name does not follow from its content")
    require(ATTEMPTS + stage.submission in held.known, f"its submission {stage.submission} is absent")
    require(STUDIES + stage.study in held.known, f"its study {stage.study} is absent")
    attempt, study = held.attempt(stage.submission), held.study(stage.study)
    require(study.seed_source == "ablation", "its study is no study of an ablation")
    drawn = plan.derive_seeds(study.id.encode(), study.id, study.blocks)
    require(study.seeds == drawn, "its seeds do not follow from its study's id")
    arms = {arm.name: arm for arm in study.arms}
    patchwork = Patchwork(held.arena, attempt, stage.pieces)
    for variant in stage.variants:
        require(variant.arm in arms, f"its study has no arm {variant.arm}")
        require(set(variant.pieces) <= patchwork.everything, "a variant of pieces that there are not")
        require(
            patchwork.makes(variant.pieces, arms[variant.arm].tree, arms[variant.arm].ast_digest),
            f"arm {variant.arm} is not the baseline with pieces {', '.join(str(k + 1) for k in variant.pieces)}",
        )


def _check_vouch(held: Held, name: str, commit: str, data: bytes) -> None:
    vouch = results.decode(data, Vouch, name)
    require(name == VOUCHES + vouch_name(data), "its name does not follow from its content")
    signed = all(ref.startswith((ATTEMPTS, *SIGNED)) for ref in vouch.refs)
    require(signed, "vouches for what is never signed")
    _require_plain(vouch.by)


def _check_job(held: Held, name: str, commit: str, data: bytes) -> None:
    job = results.decode(data, Job, name)
    require(name == JOBS + job_ref(job), f"named {job_ref(job)} inside")
    require(STUDIES + job.study in held.known, f"its study {job.study} is absent")
    _require_plain(job.user, job.host, job.cluster, job.name)


_CHECKS = {
    ATTEMPTS: check_attempt,
    SUBMISSIONS: check_submission,
    STUDIES: check_study,
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
    VOUCHES: _check_vouch,
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
    VOUCHES: VOUCH_FILE,
}
