"""How agents' attempts ended, as it is stored: outcome, cost and where the transcript belongs."""

from __future__ import annotations

from typing import Literal

Outcome = Literal["proposed", "empty", "refused", "truncated", "failed", "budget-spent", "interrupted"]
