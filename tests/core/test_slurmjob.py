"""The batch script, on literals."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from patchrun.core.slurmconfig import Settings, load_settings
from patchrun.core.slurmjob import (
    MARK,
    Order,
    Shape,
    array_words,
    block_minutes,
    job_name,
    list_options,
    write_script,
)
from patchrun.core.track import load_track

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parents[1] / "faces" / "golden"
NANOGPT = load_track((ROOT / "baselines" / "nanogpt" / "track.toml").read_text())
POCKET = load_track((ROOT / "baselines" / "pocket" / "track.toml").read_text())
STUDY = "2185b846d81a14c028a0"
ORDER = Order(arena="/shared/arena/.git", study=STUDY)
LAB = """\
partition = "h100"
account = "speedruns"
constraint = "nvlink"
limit = 4
setup = ["module load cuda/12.8"]
options = ["--mail-type=FAIL"]
"""


def write(track, settings: Settings, order: Order = ORDER, blocks: tuple[int, ...] = (0, 1, 2, 3, 4)) -> str:
    shape = Shape(study=STUDY, arms=3, blocks=blocks)
    options = list_options(track, settings, shape, job_name(order), "/shared/logs/%A_%a.out")
    environment = {"HOME": "/home/ada", "PATH": "/usr/bin", "DATA_PATH": "/data/it's here"}
    return write_script(options, settings, order, environment, "/opt/patchrun/bin/python")


@pytest.mark.parametrize(
    ("blocks", "limit", "words"),
    [((0,), 0, "0"), ((2, 0, 1), 0, "0-2"), ((0, 1, 4, 6, 7), 2, "0-1,4,6-7%2"), ((3, 5), 1, "3,5%1")],
)
def test_blocks_as_an_array(blocks: tuple[int, ...], limit: int, words: str) -> None:
    assert array_words(blocks, limit) == words


def test_golden_script_of_eight_gpus() -> None:
    settings = load_settings(LAB, "slurm.toml", "nanogpt")
    assert write(NANOGPT, settings) == (GOLDEN / "slurm_nanogpt.sh").read_text()


def test_the_order_comes_back_from_the_script_and_holds_no_seed_or_key() -> None:
    text = write(NANOGPT, Settings())
    body = text.split(f"<<'{MARK}'\n")[1].removesuffix(f"\n{MARK}\n")
    assert json.loads(body) == {
        "version": 1, "arena": "/shared/arena/.git", "remote": "", "study": STUDY, "sandbox": "default", "race": False,
        "rejects": False,
    }  # fmt: skip


def test_a_node_to_itself_or_a_share_of_one() -> None:
    alone = write(POCKET, Settings())
    assert "#SBATCH --exclusive\n" in alone and "--gpus" not in alone and "#SBATCH --mem=0\n" in alone
    shared = write(POCKET, Settings(exclusive=False, cpus=3))
    assert "--exclusive" not in shared and "#SBATCH --cpus-per-task=3\n" in shared
    assert f"#SBATCH --mem={2 * POCKET.limits.memory_mb}M\n" in shared


def test_gpus_as_sites_want_them() -> None:
    assert "#SBATCH --gpus-per-node=h100:8\n" in write(NANOGPT, Settings(gpu_type="h100"))
    assert "#SBATCH --gres=gpu:h100:8\n" in write(NANOGPT, Settings(gpu_option="gres", gpu_type="h100"))


def test_the_user_s_options_come_last() -> None:
    lines = [
        line for line in write(NANOGPT, Settings(options=("--time=30",))).splitlines() if "--time" in line
    ]
    assert lines[-1] == "#SBATCH --time=30" and len(lines) == 2
    assert "#SBATCH --time=77\n" in write(NANOGPT, Settings(minutes=77))


def test_the_time_limit_has_room_for_all_that_a_block_does() -> None:
    assert block_minutes(NANOGPT, 3) == 285  # 3 x (5400 + 300) s
    parts = POCKET.clock.repeats + 2
    assert block_minutes(POCKET, 4) * 60 >= 4 * parts * POCKET.limits.wall_seconds


def test_jobs_are_named_by_where_their_results_go() -> None:
    elsewhere = Order(arena="/other/.git", study=STUDY)
    pushed = Order(arena="/any/.git", remote="ssh://x/y", study=STUDY)
    names = {job_name(one) for one in (ORDER, elsewhere, pushed)}
    assert len(names) == 3 and all(name.endswith(f"-{STUDY}") for name in names)
    assert job_name(pushed) == job_name(Order(arena="/another/.git", remote="ssh://x/y", study=STUDY))


def test_a_folder_with_a_blank_is_quoted() -> None:
    shape = Shape(study=STUDY, arms=3, blocks=(0,))
    assert '--output="/a b/%A"' in list_options(POCKET, Settings(), shape, "n", "/a b/%A")


def test_the_page_shows_the_golden_script_and_every_key() -> None:
    page = (ROOT / "docs" / "slurm.md").read_text()
    assert f"```bash\n{(GOLDEN / 'slurm_nanogpt.sh').read_text()}```" in page
    table = page.split("| key |")[1].split("\n\n")[0]
    named = {word for line in table.splitlines() for word in re.findall(r"`([a-z_]+)`", line.split("|")[1])}
    assert named == {field.name for field in msgspec.structs.fields(Settings)}
    example = page.split("```toml\n")[1].split("```")[0]
    assert load_settings(example, "slurm.toml", "pocket").partition == "cpu"
