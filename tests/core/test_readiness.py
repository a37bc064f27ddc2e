"""What a machine lacks for a record, on literals."""

from __future__ import annotations

from patchrun.core.ladder import Era, Ladder, Record
from patchrun.core.readiness import Seen, blocking, find_gaps, needed_fetches, refuse
from patchrun.core.selection import Span
from patchrun.core.track import Hardware

H100 = "NVIDIA H100 80GB HBM3"
HARDWARE = Hardware(device="cuda", gpus=8, gpu_model=H100)
LADDER = Ladder(
    version=1,
    era=(
        Era(first=1, last=2, processes=(8,), attention="old", packages=("torch==2.4.1",)),
        Era(first=3, last=4, processes=(1, 2, 4, 8), attention="built by hand", modules=("flash",),
            packages=("torch==2.10.0", "huggingface-hub==1.14.0")),
    ),
    record=tuple(Record(number=n, date="2026-01-01", by="a", summary="s") for n in range(1, 6)),
)  # fmt: skip


def seen(**more: object) -> Seen:
    facts = {
        "processors": (H100,) * 8,
        "packages": {"torch": "2.10.0+cu128", "huggingface-hub": "1.14.0"},
        "modules": frozenset({"flash"}),
    }
    return Seen(**{**facts, **more})  # type: ignore[arg-type]


def words(span: Span, machine: Seen) -> list[str]:
    return [gap.what for gap in find_gaps(LADDER, HARDWARE, span, machine)]


def test_a_fit_machine_lacks_nothing() -> None:
    assert words(Span(4, 4), seen()) == []


def test_every_gap_is_named_at_once() -> None:
    poor = Seen((), {"torch": "2.13.0"}, frozenset(), "no validation shards")
    assert words(Span(4, 4), poor) == [
        "0 GPUs, the code trains on 1 or 2 or 4 or 8",
        "torch 2.13.0, the record needs 2.10.0",
        "huggingface-hub is not installed, the record needs 1.14.0",
        "module flash cannot be imported",
        "no validation shards",
    ]


def test_fewer_gpus_do_where_both_arms_accept_them() -> None:
    assert words(Span(4, 4), seen(processors=(H100,) * 2)) == []
    assert words(Span(3, 3), seen(processors=(H100,) * 2)) == [
        "2 GPUs, the code trains on 8"
    ]  # its baseline is record 2's


def test_another_model_is_said() -> None:
    assert words(Span(4, 4), seen(processors=("NVIDIA A100",) * 8)) == [
        f"NVIDIA A100, the ladder's times are of {H100}"
    ]


def test_the_environment_is_that_of_the_last_record_of_a_span() -> None:
    machine = seen(packages={"torch": "2.10.0", "huggingface-hub": "1.14.0"})
    assert words(Span(2, 4), machine) == []


def test_a_record_the_ladder_says_nothing_of() -> None:
    assert words(Span(5, 5), seen()) == ["the ladder does not say what record 5 needs"]


def test_one_message_says_what_is_missing_and_the_way_on() -> None:
    error = refuse(find_gaps(LADDER, HARDWARE, Span(4, 4), seen(processors=())), Span(4, 4))
    assert "record 4" in error.message
    assert "0 GPUs" in error.message
    assert "patchrun sync" in error.hint
    assert "patchrun run --pending" in error.hint


def test_another_gpu_model_or_a_missing_package_that_uv_can_bring_stops_nothing() -> None:
    other = find_gaps(LADDER, HARDWARE, Span(4, 4), seen(processors=("NVIDIA H200",) * 8))
    assert other and blocking(other) == []
    lacking = {"torch": "2.13.0", "huggingface-hub": "1.14.0"}
    gaps = find_gaps(LADDER, HARDWARE, Span(4, 4), seen(packages=lacking, can_build=True))
    assert [gap.what for gap in gaps] == ["torch 2.13.0, the record needs 2.10.0"]
    assert blocking(gaps) == []
    assert blocking(find_gaps(LADDER, HARDWARE, Span(4, 4), seen(packages=lacking))) != []


def test_only_what_stops_a_run_is_in_the_refusal() -> None:
    machine = seen(processors=("NVIDIA H200",) * 8, data_problem="no shards", data_hint="fetch them")
    message = refuse(find_gaps(LADDER, HARDWARE, Span(4, 4), machine), Span(4, 4)).message
    assert "H200" not in message
    assert "  - no shards (fetch them)" in message


FETCHING = Ladder(
    version=1,
    era=(
        Era(first=1, last=2, processes=(1,), attention="a", packages=("torch==2.10.0",), kernels=("org/a",)),
        Era(first=3, last=3, processes=(1,), attention="b", packages=("torch==2.10.0",), kernels=("org/b@1",),
            encodings=("gpt2",)),
    ),
    record=LADDER.record,
)  # fmt: skip


def test_both_arms_scripts_fetch_what_they_need() -> None:
    assert needed_fetches(FETCHING, Span(2, 2)) == (["org/a"], [])
    assert needed_fetches(FETCHING, Span(3, 3)) == (["org/a", "org/b@1"], ["gpt2"])
    assert needed_fetches(FETCHING, Span(1, 1)) == (["org/a"], [])
    assert needed_fetches(LADDER, Span(4, 4)) == ([], [])


def test_what_is_not_fetched_yet_is_said_and_stops_nothing() -> None:
    gaps = find_gaps(FETCHING, HARDWARE, Span(3, 3), seen())
    assert [gap.what for gap in gaps] == ["not fetched yet: org/a, org/b@1, gpt2"]
    assert blocking(gaps) == []
    assert find_gaps(FETCHING, HARDWARE, Span(3, 3), seen(fetched=True)) == []


def test_a_cpu_track_counts_cpus() -> None:
    cpu = Hardware(device="cpu")
    assert find_gaps(LADDER, cpu, Span(4, 4), seen(processors=("cpu",) * 2)) == []
    assert find_gaps(LADDER, cpu, Span(2, 2), seen(processors=("cpu",) * 2, packages={"torch": "2.4.1"}))[
        0
    ].what == ("2 CPUs, the code trains on 8")
