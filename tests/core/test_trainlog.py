"""The strict parser of training logs, on literals in the shape of every era."""

from __future__ import annotations

import pytest

from patchrun.core import trainlog
from patchrun.core.trainlog import LogError, Validation, parse_log

RULE = "=" * 100
SOURCE = 'import sys\nprint(f"step:{i}/{n} val_loss:1.0 train_time:1ms step_avg:1.00ms")\n'
MACHINE = """\
Running Python 3.12.7 (main, Jan  4 2025, 08:08:20) [GCC 13.2.0]
Running PyTorch 2.7.0.dev20250110+cu126 compiled for CUDA 12.6
Running Triton version 3.4.0
Sat Jan  4 08:29:45 2025
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 550.90.07              Driver Version: 550.90.07      CUDA Version: 12.4     |
|   0  NVIDIA H100 80GB HBM3          On  |   00000000:19:00.0 Off |                    0 |
| N/A   30C    P0            111W /  700W |    1184MiB /  81559MiB |      0%      Default |
|   1  NVIDIA H100 80GB HBM3          On  |   00000000:3B:00.0 Off |                    0 |
|    0   N/A  N/A      1234      C   /usr/bin/python3                             1180MiB |
+-----------------------------------------------------------------------------------------+

"""
STEPS = """\
step:0/2 val_loss:10.8258 train_time:0ms step_avg:0.04ms
step:1/2 train_time:70ms step_avg:70.50ms
step:2/2 train_time:150ms step_avg:75.00ms
step:2/2 val_loss:3.2788 train_time:179828ms step_avg:101.60ms
"""


def plain(steps: str = STEPS, source: str = SOURCE, machine: str = MACHINE) -> bytes:
    return f"{source}\n{RULE}\n{machine}{RULE}\n{steps}".encode()


def line_of(data: bytes, text: str) -> int:
    return next(number for number, line in enumerate(data.decode().split("\n"), 1) if text in line)


def failure(data: bytes, **more: object) -> LogError:
    with pytest.raises(LogError) as caught:
        parse_log(data, "run.txt", **more)  # type: ignore[arg-type]
    return caught.value


def test_a_plain_log_is_read_whole() -> None:
    log = parse_log(plain())
    assert log.form == "plain"
    assert log.script == SOURCE.encode() == log.code
    assert log.environment.python == "3.12.7"
    assert log.environment.torch == "2.7.0.dev20250110+cu126"
    assert (log.environment.cuda, log.environment.triton) == ("12.6", "3.4.0")
    assert log.environment.driver == "550.90.07"
    assert log.environment.gpus == ("NVIDIA H100 80GB HBM3",) * 2
    assert log.validations == (Validation(0, 10.8258, 0.0), Validation(2, 3.2788, 179.828))
    assert (log.steps, log.reached, log.finished) == (2, 2, True)
    assert (log.loss, log.seconds, log.restart) == (3.2788, 179.828, None)


def test_the_source_is_cut_off_byte_for_byte() -> None:
    for source in ("x = 1\n", "x = 1", "x = 1\n\n\n", "\n", "é = '=' * 100\n"):
        assert parse_log(plain(source=source)).code == source.encode()


def test_a_framed_log_adds_no_newline() -> None:
    data = f"{RULE}\n{SOURCE}{RULE}\nRunning pytorch 2.4.1+cu121 compiled for CUDA 12.1\nnvidia-smi:\n{RULE}\n{STEPS}"
    log = parse_log(data.encode())
    assert (log.form, log.script) == ("framed", SOURCE.encode())
    assert log.environment.torch == "2.4.1+cu121"


def test_further_files_follow_the_script_under_headlines() -> None:
    dashes = "-" * 40
    kernels = "def double(x):\n    return 2 * x\n"
    more = "A = 1"
    heads = [f"\n\n{dashes}\n# {name}\n{dashes}\n\n" for name in ("triton_kernels.py", "dc_kernels.py")]
    source = f"{SOURCE}{heads[0]}{kernels}{heads[1]}{more}"
    log = parse_log(plain(source=source))
    assert log.script == SOURCE.encode()
    assert log.modules == {"triton_kernels.py": kernels.encode(), "dc_kernels.py": more.encode()}
    assert log.code == source.encode()


def test_data_loader_lines_stand_between_two_more_rules() -> None:
    loaders = (
        "Training DataLoader: total number of tokens: 1100000000 across 11 files\n"
        "Validation dataloader files: ['data/fineweb10B/fineweb_val_000000.bin']\n"
    )
    assert parse_log(plain(f"{loaders}{RULE}\n{STEPS}")).seconds == 179.828


def test_the_old_clock_restarts_once_and_says_where() -> None:
    steps = (
        "step:0/3 val_loss:10.9 train_time:285ms step_avg:nanms\n"
        "step:1/3 train_loss:10.8 train_time:74701ms step_avg:nanms\n"
        "step:2/3 train_loss:8.6 train_time:213ms step_avg:213.00ms\n"
        "step:3/3 train_loss:7.6 train_time:430ms step_avg:215.00ms\n"
        "step:3/3 val_loss:7.5 train_time:440ms step_avg:215.00ms\n"
    )
    log = parse_log(plain(steps))
    assert (log.restart, log.seconds) == (2, 0.44)
    again = steps.replace("step:3/3 val_loss:7.5 train_time:440ms", "step:3/3 val_loss:7.5 train_time:10ms")
    assert failure(plain(again)).line == line_of(plain(again), "val_loss:7.5")


def test_warm_up_parameters_and_memory_are_kept_or_known() -> None:
    before = (
        "Compiling model and warming up kernels (~7 minutes on first execution)\n"
        "Sampling steps [0, 1, 436] for warmup\nResetting Model\n"
        "embed.weight: torch.Size([50304, 768]) torch.bfloat16 1.0 75.0\nModel parameters:\n"
        "  Total parameters: 275,742,772\nCreated 22 gradient buckets\nBucket 0: 1 params, 147.4 MB\n"
        "Registering bucketed gradient hooks...\n"
    )
    log = parse_log(plain(before + STEPS + "peak memory allocated: 31266 MiB reserved: 47654 MiB\n"))
    assert len(log.warmup) == 3
    assert log.memory_mib == 31266
    assert parse_log(plain(STEPS + "peak memory consumption: 34239 MiB")).memory_mib == 34239


def test_llmc_logs_have_losses_and_no_times() -> None:
    log = parse_log(
        b"s:0 tel:10.968871\ns:0 trl:10.9 lr:0.000001 norm:15.37\ns:1 trl:10.8\ns:2 tel:3.275959\n"
    )
    assert (log.form, log.loss, log.seconds, log.steps) == ("llm.c", 3.275959, None, 2)
    assert (log.code, log.code_digest) == (b"", "")
    assert failure(b"s:0 tel:10.9\nfoo\n").line == 2
    assert failure(b"s:0 tel:10.9\ns:5 trl:1.0\n").line == 2


def test_look_alikes_in_the_source_do_not_count() -> None:
    hostile = f"'''\n{RULE}\n{MACHINE}{RULE}\n{STEPS.replace('3.2788', '3.1000')}'''\n"
    honest = plain(source=hostile)
    assert parse_log(honest, source=hostile.encode()).loss == 3.2788
    assert failure(honest).line > 0  # without the source the text after the first rule does not parse
    assert failure(plain(), source=b"import os\n").line == 1


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("step:1/2 train_time:70ms", "step:1/3 train_time:70ms", "steps in all"),
        ("step:1/2 train_time:70ms", "step:2/2 train_time:70ms", "after step 0"),
        (
            "step:2/2 train_time:150ms step_avg:75.00ms",
            "step:3/2 train_time:150ms step_avg:75.00ms",
            "step 3",
        ),
        ("val_loss:3.2788", "val_loss:nan", "positive number"),
        ("val_loss:3.2788", "val_loss:-3.2788", "positive number"),
        ("val_loss:3.2788", "val_loss:inf", "positive number"),
        ("val_loss:3.2788", "val_loss:0.0", "positive number"),
        ("train_time:179828ms", "train_time:-5ms", "not a step line"),
        ("train_time:179828ms", "train_time:179828.5ms", "not a step line"),
        ("step_avg:101.60ms", "step_avg:101.60ms best:1", "not a step line"),
        ("Running Triton version 3.4.0", "Hello", "environment"),
    ],
)
def test_what_is_not_understood_is_an_error_with_its_line(old: str, new: str, what: str) -> None:
    data = plain().replace(old.encode(), new.encode())
    error = failure(data)
    assert what in error.message
    assert error.line == line_of(data, new)
    assert error.message.startswith(f"run.txt:{error.line}: ")


@pytest.mark.parametrize(
    "extra",
    [
        "step:2/2 val_loss:3.1000 train_time:100ms step_avg:1.00ms\n",
        "step:3/3 train_time:1ms step_avg:1.00ms\n",
        "ok\n",
    ],
)
def test_nothing_may_follow_the_last_validation(extra: str) -> None:
    error = failure(plain(STEPS + extra))
    assert error.line == line_of(plain(STEPS + extra), extra.strip())


def test_a_line_between_the_steps_is_not_passed_over() -> None:
    steps = STEPS.replace("step:2/2 train_time", "Traceback (most recent call last):\nstep:2/2 train_time")
    assert failure(plain(steps)).line == line_of(plain(steps), "Traceback")


def test_an_unfinished_run_is_a_value_without_a_result() -> None:
    log = parse_log(
        plain(STEPS.replace("step:2/2 val_loss:3.2788 train_time:179828ms step_avg:101.60ms\n", ""))
    )
    assert (log.finished, log.loss, log.seconds, log.reached) == (False, None, None, 2)


def test_a_log_cut_anywhere_never_reports_another_result() -> None:
    whole = plain(STEPS + "peak memory allocated: 31266 MiB reserved: 47654 MiB\n")
    for end in range(1, len(whole)):
        try:
            log = parse_log(whole[:end])
        except LogError as error:
            assert error.line <= whole[:end].count(b"\n") + 1
        else:
            assert log.loss in (None, 3.2788)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b"\x1f\x8b\x08\x00rest", "gzip"),
        (b"x\ny\xff\n", "UTF-8"),
        (plain().replace(b"step:1", b"\0step:1"), "NUL"),
        (plain().replace(b"\n", b"\r\n"), "carriage return"),
        (b"hello\nworld\n", "not a log"),
        (plain()[: plain().index(b"Sat Jan")], "inside the environment"),
        (plain(""), "before the first step"),
    ],
)
def test_what_is_no_log_at_all(data: bytes, what: str) -> None:
    error = failure(data)
    assert what in error.message
    assert "run.txt" in error.message
    assert error.hint


def test_a_huge_file_is_refused_before_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainlog, "MAX_BYTES", 1000)
    assert "at most" in failure(plain()).message


def test_the_line_of_a_byte_problem_is_named() -> None:
    assert failure(b"a\nb\n\xff").line == 3
    assert failure(b"a\nb\n\0").line == 3
