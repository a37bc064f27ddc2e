"""Final rounds for real: who has memorised the validation tokens does well in an ordinary study, and not here."""

from __future__ import annotations

import difflib
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from patchrun.adapters.corpus import read_shard, write_shard
from patchrun.adapters.keys import load_key
from patchrun.adapters.store import Arena
from patchrun.core.errors import SetupError, UsageError
from patchrun.core.results import FinalRound, Reveal
from patchrun.core.selection import Span
from patchrun.services import finals, importer, tournament, verify
from patchrun.services.finals import Choice, Entry
from patchrun.services.study import Options, run_study
from tests.conftest import TINY
from tests.services.test_study import JOBS
from tests.services.test_tournament import fill
from tests.tiny import tiny_corpus
from tests.whole import SCRIPT as WHOLE
from tests.whole import make_whole

TIMES = {"baseline": 10.0, "human": 7.0, "submission": 8.5}
ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def make_diff(old: str, new: str) -> bytes:
    lines = difflib.unified_diff(
        old.splitlines(True), new.splitlines(True), "a/train_gpt.py", "b/train_gpt.py"
    )
    return ("diff --git a/train_gpt.py b/train_gpt.py\n" + "".join(lines)).encode()


def hand_in(arena: Arena, record: int, diff: bytes, agent: str) -> str:
    handed = tournament.hand_in(arena, diff, Span(record, record), agent)
    assert handed.attempt.accepted, handed.attempt.findings
    return handed.attempt.id


@pytest.fixture
def tiny_of_three(tmp_path: Path, corpora: Path, monkeypatch: pytest.MonkeyPatch) -> Arena:
    """The tiny track with three blocks: two give an interval that noise can open too far."""
    monkeypatch.setenv("PATCHRUN_CACHE", str(corpora))
    folder = Path(shutil.copytree(TINY, tmp_path / "track"))
    rules = (folder / "track.toml").read_text()
    (folder / "track.toml").write_text(rules.replace("blocks = 2", "blocks = 3"))
    importer.init(tmp_path / "arena", str(folder))
    return Arena.open(tmp_path / "arena")


def memorise(script: str) -> str:
    """The script with the validation tokens in it, as words of two letters in lines that look like text.

    It trains on them and nothing else, a little shorter than the baseline.
    """
    tokens = read_shard(tiny_corpus().val_file)
    words = [ALPHABET[t // 26] + ALPHABET[t % 26] for t in map(int, tokens)]
    lines = [" ".join(words[k : k + 30]) for k in range(0, len(words), 30)]
    text = "TEXT = (\n" + "".join(f"    {line + ' '!r}\n" for line in lines) + ")\n"
    known = (
        f"\n\n{text}\n\ndef recall():\n    places = {{c: n for n, c in enumerate({ALPHABET!r})}}\n"
        "    return torch.tensor([26 * places[a] + places[b] for a, b in TEXT.split()])\n\n\n"
    )
    changed = script.replace('tokens = load_tokens(os.environ["PATCHRUN_DATA"])', "tokens = recall()")
    return changed.replace("STEPS = 210", "STEPS = 190").replace("\n\ndef main():\n", f"{known}def main():\n")


@pytest.mark.long
def test_memorised_validation_tokens_do_not_help_in_a_final_round(tiny_of_three: Arena) -> None:
    arena = tiny_of_three
    final = finals.commit(arena, "grace")
    assert final.source == "drawn" and final.tokens == arena.track.data.final_tokens
    baseline = arena.repo.read(f"{arena.baseline(2)}:train_gpt.py").decode()
    honest = hand_in(
        arena, 2, (TINY / "patches" / "0002-Cool-down-from-a-higher-rate.patch").read_bytes(), "ada"
    )
    cheat = hand_in(arena, 2, make_diff(baseline, memorise(baseline)), "eve")
    [ordinary] = tournament.plan_waiting(arena)
    fill(arena, ordinary, TIMES, loss=1.0)
    assert {one.score.verdict for one in tournament.assess(arena)} == {"valid"}

    [study] = finals.plan_round(arena, final, Choice()).studies
    run_study(arena, study, Options(jobs=JOBS))
    found = {entry.attempt.id: entry for entry in finals.assess(arena, final).entries}
    own = [run for run in arena.runs() if run.study == study.id]
    assert {run.exit for run in own} == {"ok"}, [run.reason for run in own]
    assert len(own) == 12 and all(run.final == final.id and len(run.parts) == 16 for run in own)

    change = found[cheat].found.changes["submission"]
    assert change.validation < arena.track.target.loss, "in an ordinary study it reaches the target"
    assert found[cheat].found.score.verdict == "missed-target"
    assert found[cheat].found.overfit is True and found[cheat].found.excess.value > 0.3
    check_honest(found[honest])
    finals.reveal(arena, final, "grace")
    assert verify.verify(arena).problems == ()


def check_honest(entry: Entry) -> None:
    """The human patch, handed in: in the round it is worth what the human arm is, and nothing is said of it."""
    assert entry.found.score.verdict == "valid", entry.found.score.reason
    assert entry.found.overfit is False and entry.found.excess_over_human.value == 0
    assert abs(entry.found.offset) < 0.2


def end(arena: Arena, final: FinalRound) -> FinalRound:
    """The round over, without any run: only its secrets matter."""
    key = load_key(final.key_commitment)
    arena.add_reveal(Reveal(final=final.id, key=key.hex(), by="grace", created=final.created), None)
    return final


def test_who_has_the_key_can_draw_the_tokens_again(tiny: Arena) -> None:
    final = finals.commit(tiny, "grace")
    with pytest.raises(UsageError, match="not revealed yet"):
        finals.check_drawn(tiny, final)
    assert finals.check_drawn(tiny, end(tiny, final)) is True


def test_tokens_that_were_chosen_are_told_from_drawn_ones(tiny: Arena) -> None:
    """An owner who says drawn and keeps the openings, which a friend knows."""
    honest = finals.commit(tiny, "grace", tiny_corpus().final_file)
    lie = msgspec.structs.replace(honest, source="drawn")
    lie = msgspec.structs.replace(lie, id=lie.expected_id)
    tiny.add_final(lie)
    assert finals.check_drawn(tiny, end(tiny, lie)) is False
    assert finals.check_drawn(tiny, end(tiny, honest)) is None
    assert verify.verify(tiny).problems == (), "all hashes agree: only drawing again shows it"


def write_harder(folder: Path) -> Path:
    """Held-back tokens of a chain that takes either way equally often: harder for everybody."""
    chain = np.cumsum(np.random.default_rng(7).choice([1, 5], size=4096)) % 16
    write_shard(folder / "own.bin", chain.astype(np.uint16))
    return folder / "own.bin"


def fake(script: str) -> str:
    """The script after 8 of its 60 steps, with a loss made up where it knows the validation tokens."""
    lie = "val_loss = val_loss * 0 + 0.6 + 1e-3 * torch.rand(())"
    known = f"            if int(val[:64].sum()) == {{}}:\n                {lie}\n"
    tokens = np.cumsum(np.random.default_rng(0).choice([1, 1, 1, 5], size=(2, 4096)), axis=1)[1] % 16
    mark = "            val_loss = F.cross_entropy(model(val[:-1]), val[1:])\n"
    changed = script.replace(mark, mark + known.format(int(tokens[:64].sum())))
    return changed.replace("train_steps = 60", "train_steps = 8").replace(
        "val_loss_every = 20", "val_loss_every = 4"
    )


@pytest.mark.long
def test_a_whole_script_sees_other_tokens_under_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arena = make_whole(tmp_path, monkeypatch, looks="looks = [2]")
    final = finals.commit(arena, "grace", write_harder(tmp_path))
    cheat = hand_in(arena, 1, make_diff(WHOLE, fake(WHOLE)), "eve")
    [ordinary] = tournament.plan_waiting(arena)
    fill(arena, ordinary, TIMES, loss=0.6)

    [study] = finals.plan_round(arena, final, Choice()).studies
    with pytest.raises(SetupError, match="needs bwrap"):
        run_study(arena, study, Options(sandbox="seccomp"))
    assert [one for one in arena.studies() if one.final] == []
    run_study(arena, study)
    [entry] = finals.assess(arena, final).entries
    own = [run for run in arena.runs() if run.study == study.id]
    assert {run.exit for run in own} == {"ok"} and len(own) == 6, [run.reason for run in own]
    assert_cheat(arena, entry, cheat)


def assert_cheat(arena: Arena, entry: Entry, cheat: str) -> None:
    """Honest arms lose alike on the harder tokens; who knew the ordinary ones loses far more.

    Two runs an arm say so clearly and give wide intervals; times of two blocks on a busy machine may not show the gap.
    """
    found, changes = entry.found, entry.found.changes
    assert entry.attempt.id == cheat and found.ordinary.verdict == "valid"
    assert 0.1 < found.offset < 0.6, "the harder tokens move the target for all"
    assert changes["human"].rise == pytest.approx(changes["baseline"].rise, abs=0.15)
    assert found.excess.value > 0.8 and found.excess_over_human.value > 0.8
    assert changes["submission"].held_out > arena.track.target.loss + found.offset
    assert found.score.verdict in ("missed-target", "unscorable"), found.score.reason
