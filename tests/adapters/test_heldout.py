"""Held-back tokens: drawn by a key from pinned texts, kept by their owner, bound to the key by hash."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from patchrun.adapters import corpus, heldout
from patchrun.adapters.corpus import read_shard, write_shard
from patchrun.adapters.homes import data_home
from patchrun.core.errors import PatchrunError, SetupError, UsageError
from patchrun.core.results import FinalRound
from tests.tiny import FOLDER, tiny_corpus, tiny_track

KEY, OTHER = b"k" * 32, b"o" * 32
SPEC = tiny_track().data
NAME = "c" * 64


def draw(key: bytes = KEY, spec=SPEC, folder: Path = FOLDER) -> np.ndarray:
    return heldout.draw_tokens(spec, key, tiny_corpus().tokenizer_file, folder)


def make_final(digest: str, tokens: int = 100) -> FinalRound:
    return FinalRound(
        id="f", track="tiny", track_digest="d", key_commitment=NAME, tokens_digest=digest, tokens=tokens,
        source="drawn", by="ada", created="2026-01-01",
    )  # fmt: skip


def test_the_key_draws_the_places() -> None:
    tokens = draw()
    assert len(tokens) == SPEC.final_tokens and tokens.dtype == np.uint16
    assert np.array_equal(tokens, draw())
    assert not np.array_equal(tokens, draw(OTHER))
    assert not np.array_equal(tokens, read_shard(tiny_corpus().final_file)), (
        "not the openings, which all can know"
    )


def contains(text: np.ndarray, piece: np.ndarray) -> bool:
    return text.astype(">u2").tobytes().find(piece.astype(">u2").tobytes()) >= 0


def test_what_is_drawn_is_in_no_other_part() -> None:
    """Each text gives one stretch, whole, out of the texts that are held out; none is in training or validation."""
    tokens = draw()
    split = corpus.split_texts(corpus.fetch_texts(SPEC, FOLDER), SPEC.holdout_every, with_final=True)
    from tokenizers import Tokenizer

    texts = corpus.encode_texts(Tokenizer.from_file(str(tiny_corpus().tokenizer_file)), split.final)
    share = -(-SPEC.final_tokens // len(texts))
    pieces = [tokens[k : k + share] for k in range(0, len(tokens), share)]
    assert len(pieces) == len(texts) == 4
    for piece, text in zip(pieces, texts, strict=True):
        assert contains(text, piece)
    for other in (tiny_corpus().train_dir / "train.bin", tiny_corpus().val_file):
        assert not contains(read_shard(other), pieces[0][:64])


def test_a_text_that_is_too_short_gives_all_it_has() -> None:
    """The others give more, and are never begun so late that they could not."""
    texts = [np.arange(10, dtype=np.uint16), *(np.arange(100, dtype=np.uint16) + 100 * k for k in (1, 2))]
    for key in (bytes([k]) * 32 for k in range(40)):
        turned = heldout._turn(texts, 200, key)
        assert len(corpus.take_evenly(turned, 200)) == 200 and len(turned[0]) == 10


def test_texts_that_were_changed_are_refused(tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(FOLDER / "texts", tmp_path / "track" / "texts")).parent
    number = SPEC.holdout_every // 2 - 1
    path = sorted((folder / "texts").iterdir())[number]
    path.write_text("Once. " + path.read_text())
    with pytest.raises(PatchrunError, match="not the ones that the track pins"):
        draw(folder=folder)


def test_a_track_that_holds_no_texts_out() -> None:
    with pytest.raises(UsageError, match="--tokens SHARD"):
        draw(spec=replace(SPEC, final_tokens=0))


def test_drawn_tokens_are_kept_by_their_owner() -> None:
    digest, count = heldout.keep_drawn(KEY, NAME, np.arange(100))
    path = heldout.held_out_file(NAME)
    assert count == 100 and path.is_relative_to(data_home())
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    assert np.array_equal(read_shard(path), np.arange(100))
    assert heldout.load_tokens(make_final(digest), KEY) == path.read_bytes()
    assert [each.name for each in path.parent.iterdir()] == [path.name], "nothing half-written lies about"


def test_the_digest_cannot_be_tried_without_the_key() -> None:
    data = b"guess"
    assert heldout.digest_tokens(KEY, data) != heldout.digest_tokens(OTHER, data)
    assert heldout.digest_tokens(KEY, data) != heldout.digest_tokens(KEY, data + b"0")


def test_given_tokens_are_copied_as_they_are(tmp_path: Path) -> None:
    source = tmp_path / "own.bin"
    write_shard(source, np.arange(50))
    digest, count = heldout.keep_given(KEY, NAME, source)
    assert count == 50 and heldout.load_tokens(make_final(digest), KEY) == source.read_bytes()
    source.write_bytes(source.read_bytes()[:-2])
    with pytest.raises(SetupError, match="the header says 50 tokens"):
        heldout.keep_given(KEY, "d" * 64, source)
    assert not heldout.held_out_file("d" * 64).exists()


def test_tokens_that_are_gone_or_others() -> None:
    digest, _ = heldout.keep_drawn(KEY, NAME, np.arange(100))
    path = heldout.held_out_file(NAME)
    with pytest.raises(SetupError, match="not the tokens that final round f committed to"):
        heldout.load_tokens(make_final(digest), OTHER)
    path.write_bytes(path.read_bytes()[:-2] + b"\1\1")
    with pytest.raises(SetupError, match="not the tokens"):
        heldout.load_tokens(make_final(digest), KEY)
    path.unlink()
    with pytest.raises(SetupError, match=r"cannot be read.*\n.*copy them"):
        heldout.load_tokens(make_final(digest), KEY)


def test_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(SetupError, match="cannot keep the held-back tokens"):
        heldout.keep_drawn(KEY, NAME, np.arange(10))


def test_a_run_of_another_uid_can_read_what_it_is_shown(tmp_path: Path) -> None:
    digest, _ = heldout.keep_drawn(KEY, NAME, np.arange(100))
    path = heldout.show_tokens(make_final(digest), KEY, tmp_path)
    assert path.stat().st_mode & 0o004 and path.parent.stat().st_mode & 0o005 == 0o005
    assert list(path.parent.iterdir()) == [path], "in a folder of its own"
