"""Which logs count for a record, and why the others do not."""

from __future__ import annotations

import hashlib

import pytest

from patchrun.core.errors import ArenaError
from patchrun.core.ladder import Ladder, Logs, Record, Upstream
from patchrun.core.logfacts import Ingest, LogFact, LogLabeller, Unread, counted
from patchrun.core.results import decode, encode
from patchrun.core.track import Hardware
from patchrun.core.trainlog import Environment, TrainLog, Validation

H100 = "NVIDIA H100 80GB HBM3"
HARDWARE = Hardware(device="cuda", gpus=8, gpu_model=H100)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def log(
    code: str = "new", gpus: tuple[str, ...] = (H100,) * 8, finished: bool = True, form: str = "plain"
) -> TrainLog:
    return TrainLog(
        form=form,  # type: ignore[arg-type]
        code=b"" if form == "llm.c" else code.encode(),
        script=code.encode(),
        modules={},
        environment=Environment() if form == "llm.c" else Environment(torch="2.6", driver="550", gpus=gpus),
        steps=3,
        reached=3,
        validations=(Validation(3, 3.27, None if form == "llm.c" else 9.5),) if finished else (),
    )


def ladder() -> Ladder:
    old = Logs(folders=("logs/01",), linked="logs/01/main.log")
    new = Logs(
        folders=("logs/02", "logs/02b"), linked="logs/02/a", code=(sha("new"),), baseline_code=(sha("old"),)
    )
    facts = {"date": "2026-01-01", "by": "Ada", "summary": "s"}
    return Ladder(
        version=1,
        upstream=Upstream(name="u", root="a" * 40, commit="b" * 40, logs="logs", retimed=("logs/90",)),
        record=(Record(number=1, logs=old, **facts), Record(number=2, logs=new, **facts)),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("path", "made", "record", "arm", "why"),
    [
        ("logs/02/a.txt", log(), 2, "human", ""),
        ("logs/02b/deep/er/a.txt", log(), 2, "human", ""),
        ("logs/02/base.txt", log("old"), 2, "baseline", ""),
        ("logs/02/c.txt", log("third"), 2, "other", "ran other code"),
        ("logs/02/one.txt", log(gpus=(H100,)), 2, "human", "ran on 1 GPU, not 8"),
        ("logs/02/four.txt", log(gpus=(H100,) * 4), 2, "human", "ran on 4 GPUs"),
        ("logs/02/h200.txt", log(gpus=("NVIDIA H200",) * 8), 2, "human", "ran on NVIDIA H200"),
        (
            "logs/02/cut.txt",
            log(finished=False),
            2,
            "human",
            "unfinished: no validation at step 3, the last step is 3",
        ),
        ("logs/01/main.log", log(form="llm.c"), 1, "human", ""),
        ("logs/90/r.txt", log(), None, "other", "times an old record anew"),
        ("logs/77/x.txt", log(), None, "other", "belongs to no record"),
    ],
)
def test_every_log_is_labelled(path: str, made: TrainLog, record: int | None, arm: str, why: str) -> None:
    fact = LogLabeller(ladder(), HARDWARE).label(made, path, sha(path))
    assert (fact.record, fact.arm, fact.set_aside) == (record, arm, why)
    assert fact.counts == (why == "")


def test_a_copy_counts_once_wherever_the_first_one_lies() -> None:
    labeller = LogLabeller(ladder(), HARDWARE)
    elsewhere = labeller.label(log(), "logs/00/a.txt", sha("same"))
    first = labeller.label(log(), "logs/02/a.txt", sha("same"))
    assert (elsewhere.counts, first.counts) == (False, True)
    labeller = LogLabeller(ladder(), HARDWARE)
    facts = [labeller.label(log(), path, sha("same")) for path in ("logs/02/a.txt", "logs/02/b.txt")]
    assert [fact.set_aside for fact in facts] == ["", "a copy of logs/02/a.txt"]
    assert counted(facts, 2, "human") == facts[:1]


def test_figures_and_hardware_class_are_kept() -> None:
    fact = LogLabeller(ladder(), HARDWARE).label(log(), "logs/02/a.txt", sha("x"))
    assert (fact.seconds, fact.loss, fact.gpus, fact.gpu) == (9.5, 3.27, 8, H100)
    assert fact.hardware_class == f"8x{H100} torch 2.6 driver 550"


def test_an_ingest_survives_the_round_trip() -> None:
    fact = LogLabeller(ladder(), HARDWARE).label(log(), "logs/02/a.txt", sha("x"))
    ingest = Ingest(source="upstream", commit="c", logs=(fact,), unread=(Unread("p", "why"),), absent=("q",))
    assert decode(encode(ingest), Ingest) == ingest
    assert encode(ingest) == encode(decode(encode(ingest), Ingest))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b"\xff", b'{"version": 2, "source": "own", "logs": []}']
)
def test_bytes_that_are_no_ingest_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(ArenaError, match="refs/x"):
        decode(data, Ingest, "refs/x")


def test_a_fact_says_none_for_what_does_not_exist() -> None:
    fact = LogLabeller(ladder(), HARDWARE).label(log(finished=False), "logs/02/a.txt", sha("x"))
    assert isinstance(fact, LogFact)
    assert (fact.seconds, fact.loss) == (None, None)
