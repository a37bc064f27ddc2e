"""An agent's workspace: a baseline without history, the task, the hints asked for; and the diff it ends as."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from patchrun.adapters import leavings, process
from patchrun.adapters.gitrepo import clean_environment
from patchrun.adapters.store import Arena
from patchrun.core.errors import UsageError
from patchrun.core.selection import Span
from patchrun.core.track import Track
from patchrun.services import checkout, hints
from patchrun.services.agents.protocol import Budget, Earlier, Feedback, Workspace

MOST = leavings.Limits(64 << 20, 2000)
ENDING = """## Check
- `patchrun validate` says what the validator finds in what you have changed so far.
- `patchrun try K` trains the first K steps for real, in a sandbox, with a public seed, and prints their loss lines.
  An agent without a shell has the same two as its tools `validate` and `try_steps`.
{by_hand}
Edit the files of this folder in place; what differs from the baseline when you end is your patch. Nothing else is read:
no message, no commit, no branch.
{budget}"""
BY_HAND = """- In a shell `python {script}` runs the script: PATCHRUN_DATA holds the training tokens, PATCHRUN_OUT takes
  the model, PATCHRUN_STEPS=K stops after K steps.
"""


@contextmanager
def open_workspace(
    arena: Arena, span: Span, tiers: tuple[int, ...], budget: Budget, feedback: Feedback
) -> Iterator[Workspace]:
    """A fresh workspace in a temporary folder, far from the arena; gone afterwards.

    Raises:
        UsageError: the record has no such hint, or the attempt to start from does not apply.
    """
    texts = hints.read(arena.track.name, span, tiers)
    track = arena.track.at_record(span.first)
    with leavings.scratch("patchrun-agent-") as name:
        folder = name / "workspace"
        checkout.checkout(arena, span, folder, tiers, ending=ending_of(track, budget))
        start = next((one for one in feedback.attempts if one.number == feedback.base), None)
        if start and (refusal := apply_diff(folder, start.diff)):
            raise UsageError(f"attempt {start.number} does not apply to its own baseline: {refusal}")
        if feedback.attempts:
            (folder / "ATTEMPTS.md").write_text(attempts_page(track, feedback), encoding="utf-8")
        task = (folder / "TASK.md").read_text(encoding="utf-8")
        yield Workspace(folder, span, track, task, texts)


def ending_of(track: Track, budget: Budget) -> str:
    """The end of TASK.md: how to check, and what may be used."""
    by_hand = BY_HAND.format(script=track.launch.script) if track.launch.kind == "python" else ""
    said = [
        f"{budget.wall_seconds:.0f} s of wall time" if budget.wall_seconds is not None else "",
        f"{budget.tokens} tokens" if budget.tokens is not None else "",
        f"${budget.usd:.2f}" if budget.usd is not None else "",
    ]
    limits = ", ".join(filter(None, said))
    words = f"\n## Budget\nAt most {limits}. What the folder holds when it is spent is your patch.\n"
    return ENDING.format(by_hand=by_hand, budget=words if limits else "")


def attempts_page(track: Track, feedback: Feedback) -> str:
    """ATTEMPTS.md: what was tried in this search, how it was judged, and what the workspace starts from."""
    start = {
        "draft": "This folder starts from the baseline. Make a patch of your own.",
        "improve": f"This folder starts from attempt {feedback.base}, the best so far. Make it better.",
        "debug": f"This folder starts from attempt {feedback.base}, which failed. Find out why and mend it.",
    }[feedback.task]
    parts = [f"# Earlier attempts\n\n{start}\n", *(describe(track, one) for one in feedback.attempts)]
    return "\n".join(parts)


def describe(track: Track, one: Earlier) -> str:
    """One earlier attempt in Markdown: verdict, measured means, findings, diff."""
    facts = [f"- outcome: {one.outcome}", f"- verdict: {one.verdict or 'not measured'}"]
    facts += [f"- because: {one.reason}"] if one.reason else []
    if one.loss is not None:
        facts.append(f"- mean loss {one.loss:.4f}, target {track.target.loss}")
    if one.seconds is not None and one.baseline_seconds is not None:
        facts.append(f"- {one.seconds:.2f} s, the baseline takes {one.baseline_seconds:.2f} s")
    facts += [f"- {found.code} {found.severity}: {found.message}" for found in one.findings]
    diff = one.diff.decode("utf-8", "replace")
    return f"## Attempt {one.number}\n" + "\n".join(facts) + (f"\n\n```diff\n{diff}```\n" if diff else "\n")


def apply_diff(folder: Path, diff: bytes) -> str:
    """Apply a diff to the files of a fresh workspace; git's refusal in git's words, "" when it applied."""
    words = ["git", "-c", "core.attributesFile=/dev/null", "apply", "--whitespace=nowarn", "-"]
    done = process.run(words, input=diff, cwd=folder, env=clean_environment())
    return "" if done.ok else done.errors or "git refused it"


def restore_baseline(folder: Path) -> None:
    """Undo what a fresh workspace starts from; only before anyone else could touch its ``.git``."""
    for words in (["reset", "--quiet", "--hard"], ["clean", "--quiet", "--force", "-d"]):
        process.run(["git", *words], cwd=folder, env=clean_environment())


def read_diff(arena: Arena, span: Span, folder: Path, secrets: Sequence[str]) -> tuple[bytes, str]:
    """What git says of the workspace now, and "" or why it cannot be taken (the diff is empty then)."""
    try:
        if trouble := leavings.find_excess(folder, MOST, checkout.is_kept):
            return b"", f"the workspace holds {trouble}"
        diff = checkout.diff_of_folder(arena, span, folder)
    except (UsageError, OSError, UnicodeError) as error:
        return b"", str(error).splitlines()[0]
    if any(secret.encode() in diff for secret in secrets):
        return b"", "the diff holds a secret of the environment: it is not kept"
    return diff, ""
