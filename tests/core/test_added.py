# ruff: noqa: E501 - a spelling stands in one line
"""What a patch brings in, measured; and stretches of it that look like data."""

from __future__ import annotations

import ast
import base64
import random
import re
import string
from collections.abc import Callable

import pytest

from patchrun.core.added import LEAST_LIMIT, check_added, entropy, find_dense, measure, pack
from patchrun.core.rules import FileChange
from tests.attacks.ground import pocket

RNG = random.Random(7)
NOISE = base64.b64encode(RNG.randbytes(3000)).decode()
PROSE = (
    "The rate falls as the noise grows, so that the last steps average over what the first ones found. Matrices are "
    "stepped together where their shapes agree. Nothing here looks at the order of the data. "
)


def change(after: str | None, before: str | None = "", path: str = "train_gpt.py") -> FileChange:
    old, new = (None if text is None else text.encode("utf-8", "surrogatepass") for text in (before, after))
    modes = ("000000" if old is None else "100644", "000000" if new is None else "100644")
    return FileChange(path, *modes, old, new)


def script() -> str:
    return pocket().text


def dense(extra: str) -> list[tuple[int | None, str]]:
    """What is seen when lines come in at the end of the script."""
    found = find_dense(change(script() + extra, script()))
    return [(one.line, one.message) for one in found]


def test_entropy_in_bits_a_character() -> None:
    assert entropy("") == 0
    assert entropy("aaaa") == 0
    assert entropy("abab") == 1
    assert entropy("abcd" * 10) == 2
    assert entropy(string.ascii_letters[:32]) == 5


def test_random_bytes_cost_what_they_hold_and_repetition_nothing() -> None:
    assert 1000 <= pack(RNG.randbytes(1000)) <= 1030
    assert pack(b"ab" * 5000) < 60


def test_what_the_baseline_says_costs_next_to_nothing_wherever_it_moves() -> None:
    lines = script().split("\n")
    turned = "\n".join(lines[150:] + lines[:150])
    assert measure([change(script(), script())]) < 100
    assert measure([change(turned, script())]) < 150
    assert measure([change(script() * 3, script())]) < 300


def test_what_goes_gives_no_credit() -> None:
    addition = f"\nX = {NOISE[:1200]!r}\n"
    added = measure([change(script() + addition, script())])
    assert added > 900
    assert measure([change(script()[:6000] + addition, script())]) > added - 60


def test_a_file_that_goes_brings_nothing_in_and_a_new_ones_name_counts() -> None:
    assert measure([change(None, script())]) < 20
    name = "".join(RNG.choices(string.ascii_letters, k=120))
    plain = measure([change("x = 1\n", None, "a.py")])
    assert measure([change("x = 1\n", None, f"{name}.py")]) > plain + 70


def test_it_is_measured_over_all_files_and_in_no_order() -> None:
    first, second = change(NOISE[:800], None, "a.py"), change(NOISE[:800], None, "b.py")
    assert measure([first, second]) == measure([second, first]) < measure([first]) + 60


SPREAD = {
    "integers": lambda: "\n".join(f"a{i} = 0x{RNG.randbytes(15).hex()}" for i in range(600)),
    "floats": lambda: "\n".join(f"b{i} = {RNG.random()!r}" for i in range(1200)),
    "texts": lambda: "\n".join(f"c{i} = {base64.b85encode(RNG.randbytes(24)).decode()!r}" for i in range(400)),
    "bytes": lambda: "\n".join(f"d{i} = {RNG.randbytes(24)!r}" for i in range(400)),
    "parts of f-strings": lambda: "\n".join(f'e{i} = f"{RNG.randbytes(9).hex()}{{i}}{RNG.randbytes(9).hex()}"' for i in range(600)),
    "names": lambda: "\n".join(f"f{RNG.randbytes(12).hex()} = 0" for _ in range(800)),
    "attributes and keywords": lambda: "\n".join(f"g.x{RNG.randbytes(6).hex()}(y{RNG.randbytes(6).hex()}=1)" for _ in range(800)),
    "comments": lambda: "\n".join(f"# {RNG.randbytes(20).hex()}" for _ in range(500)),
    "blanks": lambda: "\n".join("pass" + "".join(RNG.choices(" \t", k=100)) for _ in range(900)),
    "empty lines": lambda: "".join("pass" + "\n" * RNG.randint(1, 64) for _ in range(14_000)),
    "nested tuples": lambda: "\n".join("h = " + "".join(RNG.choices(["(", "1,"], k=60)) for _ in range(1200)),
    "type hints": lambda: "\n".join(f"i{i}: x{RNG.randbytes(12).hex()} = 0" for i in range(800)),
    "keys": lambda: "\n".join(f"j[{RNG.randint(0, 10**9)}] = 0" for _ in range(2600)),
    "operators": lambda: "\n".join("k = " + "".join(f"x{RNG.choice('+-*/%&|^')}" for _ in range(60)) + "x" for _ in range(450)),
    "order of lines": lambda: "\n".join(f"l{i} = 0" for i in RNG.sample(range(6000), 6000)),
    "words": lambda: "\n".join("# " + " ".join(RNG.choices(re.findall(r"[a-z]{3,}", script()), k=12)) for _ in range(900)),
    "Chinese letters": lambda: "\n".join("# " + "".join(chr(RNG.randint(0x4E00, 0x9FA5)) for _ in range(40)) for _ in range(160)),
}  # fmt: skip


@pytest.mark.parametrize("spread", SPREAD.values(), ids=SPREAD)
def test_a_model_is_too_much_in_whatever_it_is_spelled(spread: Callable[[], str]) -> None:
    one = change(f"{script()}\n{spread()}\n", script())
    size = measure([one])
    assert size > LEAST_LIMIT
    (finding,) = check_added([one], size, LEAST_LIMIT)
    assert (finding.code, finding.severity) == ("PR509", "error")
    assert f"{size} bytes" in finding.message
    assert f"at most {LEAST_LIMIT}" in finding.message
    assert finding.line is not None
    assert finding.line >= len(script().split("\n")) - 1


def test_what_weighs_most_is_named() -> None:
    extra = "\n".join(["x = 1"] * 40 + [f"W = {NOISE!r}"] + ["y = 2"] * 40)
    one = change(f"{script()}{extra}", script())
    (finding,) = check_added([one], 3300, 2000)
    assert "weigh most" in finding.message
    assert finding.line is not None
    lines = (one.after or b"").decode().split("\n")
    assert lines[finding.line - 1].startswith("W = ")


def test_within_the_limit_nothing_is_said() -> None:
    assert check_added([change("x = 1\n")], 10, 10) == []


def test_too_much_of_nothing_that_is_added_still_has_a_message() -> None:
    (finding,) = check_added([change(None, script())], 20, 10)
    assert finding.severity == "error"


DENSE = {
    "a text": f"W = {NOISE[:400]!r}",
    "an integer": f"W = 0x{RNG.randbytes(200).hex()}",
    "integers of 119 bits": "W = [" + ", ".join(f"0x{RNG.randbytes(15).hex()}" for _ in range(40)) + "]",
    "decimals": f"W = {[round(RNG.gauss(0, 1), 4) for _ in range(300)]}",
    "numbers in a text": f"W = {' '.join(f'{RNG.gauss(0, 1):.3f}' for _ in range(300))!r}",
    "numbers a line": "\n".join(f"w{i} = {RNG.random()!r}" for i in range(100)),
    "short texts": "\n".join(f"T{i} = {base64.b64encode(RNG.randbytes(60)).decode()!r}" for i in range(20)),
    "short texts between lines of the baseline": "PLACEHOLDER",
    "a docstring": f'def f():\n    """{NOISE[:800]}"""',
    "a name": f"w_{RNG.randbytes(70).hex()} = 1",
    "names": "\n".join(f"{''.join(RNG.choices(string.ascii_lowercase, k=30))} = 1" for _ in range(60)),
    "comments": "\n".join(f"# {NOISE[at : at + 70]}" for at in range(0, 1400, 70)),
    "bytes": f"W = {RNG.randbytes(600)!r}",
    "blanks": "\n".join("pass" + "".join(RNG.choices(" \t", k=60)) for _ in range(40)),
}  # fmt: skip


@pytest.mark.parametrize("extra", DENSE.values(), ids=DENSE)
def test_what_looks_like_data_is_seen(extra: str) -> None:
    if extra == "PLACEHOLDER":
        texts = [f"T{i} = {base64.b64encode(RNG.randbytes(60)).decode()!r}" for i in range(20)]
        extra = "\n".join(line for pair in zip(texts, script().split("\n"), strict=False) for line in pair)
    assert dense(extra)


MORE_LINES = {
    "a table of eighty equal numbers": f"WIDTHS = {[64] * 80}",
    "a schedule of forty numbers": f"SCHEDULE = {[round(1 / (step + 1), 3) for step in range(40)]}",
    "constants of many digits": "GOLDEN = 1.6180339887498948482045868343656381177203\nA = 3.4445, -4.7750, 2.0315",
    "a digest": f"# {'ab12' * 16} is the shard's SHA-256",
    "an address": "# https://github.com/KellerJordan/modded-nanogpt/blob/master/records/track_1_short/2024-12-10/README.md",
    "a rule of dashes": "# " + "-" * 110 + "\n# " + "=" * 110,
    "a long name": "a_name_that_says_in_full_what_the_value_is_good_for_and_when_it_may_be_left_out = 1",
    "prose": f'"""{PROSE * 30}"""',
    "a docstring in German": '"""' + "Die Lernrate fällt über die letzten Schritte, damit das Rauschen kleiner wird als der Fortschritt. "
    "Matrizen gleicher Form werden gemeinsam orthogonalisiert; die übrigen Gewichte behält der andere Optimierer. "
    "Was hier steht, hat mit den Daten nichts zu tun und ändert sich während des Laufs nicht. " * 2 + '"""',
    "a table in a comment": "\n".join(f"# {step:4d} steps: loss {3.9 - step / 400:.3f}" for step in range(0, 140, 5)),
    "a range": f"W = {list(range(100))}",
    "an import list": "from torch.nn import (\n" + "".join(f"    {name},\n" for name in ("Linear", "Embedding", "Module", "Parameter", "LayerNorm", "RMSNorm", "Dropout", "GELU", "ReLU", "Sequential")) + ")",
    "lines of equals signs and shapes": "\n".join(f"assert x{i}.shape == (B, T, {64 * i})" for i in range(1, 30)),
}  # fmt: skip


@pytest.mark.parametrize("extra", MORE_LINES.values(), ids=MORE_LINES)
def test_ordinary_lines_bother_nobody(extra: str) -> None:
    assert dense(extra) == []
    assert measure([change(f"{script()}{extra}\n", script())]) < 1500


def reverse_definitions(text: str) -> str:
    parts = re.split(r"(?m)^(?=(?:class|def|# ------))", text)
    return "".join(parts[:1] + parts[1:-1][::-1] + parts[-1:])


WHOLE = {
    "comments gone, layout anew": lambda text: ast.unparse(ast.parse(text)),
    "indented by two": lambda text: re.sub(r"(?m)^ +", lambda m: " " * (len(m[0]) // 2), text),
    "indented by tabs": lambda text: re.sub(r"(?m)^(?:    )+", lambda m: "\t" * (len(m[0]) // 4), text),
    "definitions the other way round": reverse_definitions,
    "a name changed everywhere": lambda text: re.sub(r"\bx\b", "hidden", text),
    "settings renamed": lambda text: re.sub(r"\b(WIDTH|HEADS|LAYERS|CONTEXT|STEPS)\b", r"MODEL_\1", text),
    "types of arguments": lambda text: text.replace("(self, x):", "(self, x: torch.Tensor) -> torch.Tensor:"),
    "every line numbered": lambda text: "\n".join(
        f"{line}  # {at}" for at, line in enumerate(text.split("\n"))
    ),
    "blank lines doubled": lambda text: text.replace("\n", "\n\n"),
    "single quotes": lambda text: text.replace('"', "'"),
    "a long page at the top": lambda text: f'"""{PROSE * 100}"""\n{text}',
    "a copy of the model under another name": lambda text: text + re.sub(r"\bGPT\b", "Second", text),
    "lines sorted": lambda text: "\n".join(sorted(text.split("\n"))),
}


@pytest.mark.parametrize("rewrite", WHOLE.values(), ids=WHOLE)
def test_a_large_honest_change_is_small_and_bothers_nobody(rewrite: Callable[[str], str]) -> None:
    one = change(rewrite(script()), script())
    assert measure([one]) < LEAST_LIMIT / 3
    assert list(find_dense(one)) == []


def test_the_whole_script_in_other_words_passes() -> None:
    """The pocket ladder's first baseline, renamed throughout, as if it were written anew."""
    ground = pocket()
    first = ground.repo.read(f"{ground.refs['refs/heads/baseline/1']}:train_gpt.py").decode()
    names = {name: f"{name}_{at}" for at, name in enumerate(set(re.findall(r"[a-zA-Z_]{4,}", first)))}
    other = re.sub(r"[a-zA-Z_]{4,}", lambda match: names[match[0]], first)
    assert measure([change(other, script())]) < LEAST_LIMIT


def test_bytes_that_are_not_text_do_not_stop_the_check() -> None:
    one = FileChange("x.sh", "100644", "100644", b"\xff\xfe", b"\xff\xfe\n" + RNG.randbytes(500))
    assert measure([one]) > 400
    list(find_dense(one))


def test_a_very_long_line_and_very_many_lines_end() -> None:
    list(find_dense(change("x" * 300_000)))
    list(find_dense(change("\n".join(str(at) for at in range(60_000)))))
