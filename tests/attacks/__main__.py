"""``python -m tests.attacks``: write `docs/attacks.md`."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.table import CASES, named, to_markdown

PAGE = Path(__file__).parents[2] / "docs" / "attacks.md"

if __name__ == "__main__":
    PAGE.write_text(to_markdown(), encoding="utf-8")
    print(f"{PAGE.name}: {len(CASES)} spellings, {len(named('not caught'))} not caught")
