"""The user's settings for Slurm, on literals."""

from __future__ import annotations

import pytest

from patchrun.core.errors import ManifestError
from patchrun.core.slurmconfig import Settings, load_settings

FULL = """\
partition = "gpu"
account = "lab"
constraint = "h100&ib"
limit = 4
setup = ["module load cuda"]
options = ["--mail-type=FAIL"]

[track.pocket]
partition = "cpu"
exclusive = false
"""


def test_no_keys_are_all_defaults() -> None:
    assert load_settings("", "slurm.toml", "pocket") == Settings()
    assert Settings().exclusive and Settings().retries == 2 and Settings().results == "shared"


def test_a_track_s_own_table_comes_before_the_rest() -> None:
    plain, own = (load_settings(FULL, "slurm.toml", track) for track in ("nanogpt", "pocket"))
    assert (plain.partition, plain.exclusive, plain.limit) == ("gpu", True, 4)
    assert (own.partition, own.exclusive, own.limit) == ("cpu", False, 4)
    assert own.setup == ("module load cuda",)


def test_every_problem_is_named_at_once() -> None:
    text = (
        'partitoin = "gpu"\nretries = -1\nlimit = "many"\n[track.pocket]\nexlusive = true\npoll_seconds = 0\n'
    )
    with pytest.raises(ManifestError) as caught:
        load_settings(text, "/home/x/slurm.toml", "nanogpt")
    said = caught.value.message
    assert "/home/x/slurm.toml: partitoin: unknown key; did you mean partition?" in said
    assert "track.pocket.exlusive: unknown key; did you mean exclusive?" in said
    for key in ("retries", "limit", "track.pocket.poll_seconds"):
        assert f"slurm.toml: {key}: " in said
    assert "mend 5 place(s)" in caught.value.hint


@pytest.mark.parametrize(
    "line",
    [
        'partition = "a b"',
        'account = "a\\n#SBATCH --uid=0"',
        'options = ["-p gpu"]',
        'options = ["--a=b\\nrm -rf x"]',
        'setup = ["one\\ntwo"]',
        'environment = ["A B"]',
        'gpu_option = "gpus"',
        "minutes = 0",
        'results = "mail"',
    ],
)
def test_values_that_cannot_be_an_option_of_one_line(line: str) -> None:
    with pytest.raises(ManifestError, match=line.split(" ")[0]):
        load_settings(line, "slurm.toml", "pocket")


def test_pushing_needs_an_address() -> None:
    with pytest.raises(ManifestError, match="remote: missing"):
        load_settings('results = "push"', "slurm.toml", "pocket")
    text = 'remote = "ssh://here/arena.git"\n[track.pocket]\nresults = "push"\n'
    assert load_settings(text, "slurm.toml", "pocket").remote == "ssh://here/arena.git"
    assert load_settings(text, "slurm.toml", "nanogpt").results == "shared"


def test_not_toml() -> None:
    with pytest.raises(ManifestError, match="slurm.toml: not TOML"):
        load_settings("partition = ", "slurm.toml", "pocket")
