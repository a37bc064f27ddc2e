"""run.sh is read, never executed."""

from __future__ import annotations

import pytest

from patchrun.core.launchline import Launch, LaunchError, choose_processes, read_launch


def test_a_plain_line() -> None:
    launch = read_launch("torchrun --standalone --nproc_per_node=8 train_gpt.py\n")
    assert launch == Launch("train_gpt.py", ())


def test_arguments_over_several_lines_with_quotes() -> None:
    text = (
        'torchrun --standalone --nproc-per-node=8 train_gpt2.py \\\n    --input_bin "data/a_*.bin" \\\n'
        "    --steps 9536\n\n"
    )
    assert read_launch(text).arguments == ("--input_bin", "data/a_*.bin", "--steps", "9536")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "python train.py\n",
        "torchrun train.py\n",
        "torchrun --standalone --nproc_per_node=8 ../train.py\n",
        "torchrun --standalone --nproc_per_node=8 /tmp/train.py\n",
        "torchrun --standalone --nproc_per_node=8 train.sh\n",
        "torchrun --standalone --nproc_per_node=gpu train.py\n",
        "torchrun --standalone --nproc_per_node=8 --log-dir=x train.py\n",
        "torchrun --standalone --nproc_per_node=8 train.py; rm -rf x\n",
        "torchrun --standalone --nproc_per_node=8 train.py && true\n",
        "torchrun --standalone --nproc_per_node=8 train.py > log\n",
        "torchrun --standalone --nproc_per_node=8 train.py $HOME\n",
        "torchrun --standalone --nproc_per_node=8 train.py `id`\n",
        "export X=1\ntorchrun --standalone --nproc_per_node=8 train.py\n",
        'torchrun --standalone --nproc_per_node=8 train.py "open\n',
    ],
)
def test_whatever_else_a_shell_would_do_is_refused(text: str) -> None:
    with pytest.raises(LaunchError) as caught:
        read_launch(text)
    assert "run.sh" in caught.value.message
    assert caught.value.hint


def test_the_largest_count_that_fits() -> None:
    assert choose_processes(8, (1, 2, 4, 8)) == 8
    assert choose_processes(7, (1, 2, 4, 8)) == 4
    assert choose_processes(7, (8,)) is None
    assert choose_processes(0, (1,)) is None
