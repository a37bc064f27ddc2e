"""What libraries print: listed, bounded, and never a step line."""

from __future__ import annotations

import pytest

from patchrun.core.librarylines import MOST, Budget, Listed, find_listed

PRINTED = [
    "W1130 01:34:40.123000 4242 torch/distributed/run.py:793] ",
    "[rank3]:[W1130 01:34:40.123456789 ProcessGroupNCCL.cpp:1250] Warning: process group has NOT been destroyed",
    "[rank0]:W1130 01:34:40.123000 99 torch/_inductor/utils.py:1250] [0/0] Not enough SMs to use max_autotune_gemm",
    "[W ProcessGroupNCCL.cpp:1856] Warning: 0NCCL_AVOID_RECORD_STREAMS=1 has no effect",
    "[W socket.cpp:697] [c10d] The client socket has failed to connect",
    "[2024-10-10 10:01:02,003] torch.distributed.run: [WARNING] ",
    "/usr/lib/python3.12/site-packages/torch/autograd/graph.py:825: UserWarning: c10d::allreduce_: an autograd kernel",
    "<frozen importlib._bootstrap>:488: RuntimeWarning: numpy.ndarray size changed",
    "train_gpt.py:12: FutureWarning: `torch.cuda.amp.autocast(args...)` is deprecated.",
    "WARNING:root:slow",
    "INFO - something was loaded",
    "Exception ignored in: <function _ConnectionBase.__del__ at 0x7f>",
    "NCCL version 2.21.5+cuda12.4",
    "AUTOTUNE addmm(2048x768, 2048x768, 768x768)",
    "SingleProcess AUTOTUNE benchmarking takes 0.52 seconds and 1.2 seconds precompiling",
    "ptxas info    : (C7508) Potential Performance Loss: wgmma.mma_async instructions are serialized",
    "Fetching 5 files: 100%|##########| 5/5 [00:01<00:00,  4.03it/s]",
    "Downloading builder script: 55%|#####     | 5/9 [00:01<00:00,  4.03it/s]",
]


@pytest.mark.parametrize("line", PRINTED)
def test_what_libraries_are_known_to_print(line: str) -> None:
    assert find_listed(line)


OWN = [
    "hello",
    "loss 3.2",
    "step:1/2 train_time:1ms",
    "s:1 tel:3.0",
    "done",
    "epoch 3",
    "warning",
    "100%",
    "a: b: c",
    "",
]


@pytest.mark.parametrize("line", OWN)
def test_what_a_script_prints_of_its_own_is_not_listed(line: str) -> None:
    assert find_listed(line) is None
    assert not Budget().take(line)


ENTRIES = {entry.source: (entry, line) for line in PRINTED if (entry := find_listed(line))}


@pytest.mark.parametrize(("entry", "line"), ENTRIES.values(), ids=ENTRIES)
def test_each_kind_ends_somewhere(entry: Listed, line: str) -> None:
    budget, most = Budget(), min(entry.budget, MOST)
    assert [budget.take(line) for _ in range(most + 1)] == [True] * most + [False]


def test_a_message_goes_on_for_some_lines() -> None:
    budget = Budget()
    assert budget.take(PRINTED[6])
    assert all(budget.take(line) for line in ["  warnings.warn(", "\tdeeper", "and on"])
    budget.end_message()
    assert not budget.take("  and on")
    assert budget.take(PRINTED[6])
    assert [budget.take("x") for _ in range(21)] == [True] * 20 + [False]
