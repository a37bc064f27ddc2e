"""The loop around msgspec: every problem of every kind of value is found, and by its key."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from msgspec import Meta

from patchrun.core.errors import ManifestError
from patchrun.core.manifest import Count, Natural, Oid, Positive, Sha256, Strict, load_manifest


class Wheel(Strict):
    spokes: Count
    tyre: Literal["wide", "narrow"] = "wide"
    patches: Natural = 0


class Bike(Strict, frozen=True, kw_only=True):
    weight: Positive
    bell: Wheel | None = None
    wheel: Annotated[tuple[Wheel, ...], Meta(min_length=1)]
    spare: dict[str, Wheel] = {}
    digests: dict[str, Sha256] = {}
    names: tuple[Annotated[str, Meta(pattern=r"\A\S")], ...] = ()
    gears: Count | None = None

    def __post_init__(self) -> None:
        if len(self.wheel) != 2:
            raise ValueError(f"a bike has 2 wheels, got {len(self.wheel)}")


GOOD = "weight = 9\nwheel = [{spokes = 32}, {spokes = 36}]\n"


def problems(text: str) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        load_manifest(Bike, text, "bike.toml")
    found = caught.value.message.splitlines()
    assert f"mend {len(found)} place(s) in bike.toml" in str(caught.value)
    return [line.removeprefix("bike.toml: ") for line in found]


def test_a_sound_manifest_is_a_value_with_its_defaults() -> None:
    bike = load_manifest(Bike, GOOD, "bike.toml")
    assert bike.wheel == (Wheel(32), Wheel(36))
    assert (bike.weight, bike.spare, bike.gears) == (9.0, {}, None)
    assert isinstance(bike.weight, float), "a digest must not depend on whether 9 or 9.0 was written"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("gears = 0", "gears: Expected `int` >= 1, got 0"),
        ('gears = "3"', "gears: Expected `int`, got '3'"),
        ("gears = true", "gears: Expected `int`, got True"),
        ("gears = 2.5", "gears: Expected `int`, got 2.5"),
        ("gears = 2026-01-01", "gears: Expected `int`, got datetime.date(2026, 1, 1)"),
        ("bell = 3", "bell: Expected `object`, got 3"),
        ("bell = {}", "bell.spokes: missing"),
        ('bell = {spokes = 1, tyre = "thin"}', "bell.tyre: Expected 'wide' or 'narrow', got 'thin'"),
        ("spare.left = {spokes = 0}", "spare.left.spokes: Expected `int` >= 1, got 0"),
        ("spare.left = {spoke = 1, spokes = 1}", "spare.left.spoke: unknown key; did you mean spokes?"),
        ('names = ["a", " "]', r"names.1: Expected `str` matching regex '\\A\\S', got ' '"),
        ('names = "a"', "names: Expected `array`, got 'a'"),
        ('digests.a = "0"', r"digests.a: Expected `str` matching regex '\\A[0-9a-f]{64}\\Z', got '0'"),
        ("xyz = 1", "xyz: unknown key"),
    ],
)
def test_each_kind_of_value_is_checked_and_named(line: str, problem: str) -> None:
    assert problems(GOOD + line) == [problem]


@pytest.mark.parametrize("value", ["0", "-1", "nan", "-inf", "'9'", "[9]"])
def test_a_weight_is_a_number_above_zero(value: str) -> None:
    (problem,) = problems(GOOD.replace("= 9", f"= {value}"))
    assert problem.startswith("weight: Expected `float`")


def test_a_digest_does_not_end_in_a_new_line() -> None:
    class Pins(Strict):
        blob: Sha256
        commit: Oid

    text = 'blob = "%s"\ncommit = "%s"\n'
    assert load_manifest(Pins, text % ("a" * 64, "b" * 40), "p").commit == "b" * 40
    with pytest.raises(ManifestError) as caught:
        load_manifest(Pins, text % ("a" * 64 + "\\n", "b" * 40 + "\\n"), "p")
    assert caught.value.message.count("matching regex") == 2


def test_an_array_is_checked_as_a_whole_once_its_items_are_fine() -> None:
    assert problems("weight = 9\nwheel = []") == ["wheel: Expected `array` of length >= 1, got []"]
    assert problems("weight = 9\nwheel = [1, {}]") == [
        "wheel.0: Expected `object`, got 1",
        "wheel.1.spokes: missing",
    ]


def test_a_table_is_checked_as_a_whole_once_its_keys_are_fine() -> None:
    three = GOOD.replace("}]", "}, {spokes = 1}]")
    assert problems(three) == ["a bike has 2 wheels, got 3"]
    assert problems(three + "gears = 0") == ["gears: Expected `int` >= 1, got 0"]


def test_problems_at_every_depth_come_at_once() -> None:
    text = "gear = 3\nwheel = [{spokes = 0, tire = 1}, {patches = -1}]\nspare.a = {spokes = 'x'}\n"
    assert sorted(problems(text)) == [
        "gear: unknown key; did you mean gears?",
        "spare.a.spokes: Expected `int`, got 'x'",
        "weight: missing",
        "wheel.0.spokes: Expected `int` >= 1, got 0",
        "wheel.0.tire: unknown key; did you mean tyre?",
        "wheel.1.patches: Expected `int` >= 0, got -1",
        "wheel.1.spokes: missing",
    ]


def test_what_is_not_toml_is_said() -> None:
    with pytest.raises(ManifestError, match="bike.toml: not TOML: "):
        load_manifest(Bike, "weight = ", "bike.toml")


def test_a_manifest_is_frozen() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        load_manifest(Bike, GOOD, "b").weight = 1  # type: ignore[misc]
