"""Write the tiny track's texts: sentences from a small grammar, the same on every machine.

    python make_texts.py

Plain invented English, so that a model has something to learn in a second: which words follow which.
"""

import random
from pathlib import Path

NAMES = ["Ada", "Bruno", "Cora", "Dov", "Esme", "Finn", "Greta", "Hugo", "Ines", "Jonas", "Kira", "Leo"]
PLACES = [
    "the harbour",
    "the old mill",
    "the market",
    "the library",
    "the orchard",
    "the bakery",
    "the bridge",
]
THINGS = [
    "a lantern",
    "a basket of pears",
    "a wooden boat",
    "a letter",
    "a copper kettle",
    "a map",
    "a red scarf",
]
MOODS = ["quietly", "at once", "with care", "without a word", "as always", "before noon", "after the rain"]
OPENINGS = [
    "In the morning",
    "Later that day",
    "On the third evening",
    "When the bell rang",
    "Once the fog had gone",
]
FORMS = [
    "{opening}, {a} carried {thing} to {place}.",
    "{a} asked {b} whether {thing} was still at {place}.",
    "{b} answered {mood}, and {a} walked back from {place}.",
    "Nobody at {place} had seen {thing}, so {a} waited {mood}.",
    "{a} gave {thing} to {b}, who left for {place} {mood}.",
    '"Is that {thing}?" said {b}. "It is," said {a}, {mood}.',
    "{opening}, {a} and {b} met near {place} and spoke of {thing}.",
]


def write_text(rng: random.Random, sentences: int) -> str:
    """Paragraphs of four sentences; two people and one place stay through a text."""
    pair, home = rng.sample(NAMES, 2), rng.choice(PLACES)
    lines = []
    for _ in range(sentences):
        a, b = rng.sample(pair, 2)
        place = home if rng.random() < 0.7 else rng.choice(PLACES)
        words = {"a": a, "b": b, "place": place, "thing": rng.choice(THINGS), "mood": rng.choice(MOODS)}
        lines.append(rng.choice(FORMS).format(opening=rng.choice(OPENINGS), **words))
    return "\n\n".join(" ".join(lines[i : i + 4]) for i in range(0, len(lines), 4)) + "\n"


def main() -> None:
    rng = random.Random(2024)
    folder = Path(__file__).parent / "texts"
    folder.mkdir(exist_ok=True)
    for number in range(24):
        (folder / f"text{number:02d}.txt").write_text(write_text(rng, 96), encoding="utf-8")


if __name__ == "__main__":
    main()
