"""The finding codes: one table that the validator, the output formats and `docs/findings.md` share."""

from __future__ import annotations

from dataclasses import dataclass

from patchrun.core.findings import Finding, Severity

LONGEST_MESSAGE = 400


@dataclass(frozen=True)
class Code:
    """A kind of finding: its default severity, what was seen, and what the maker of the patch can do."""

    id: str
    name: str
    severity: Severity
    meaning: str
    advice: str

    @property
    def group(self) -> str:
        return GROUPS[self.id[:3]]


GROUPS = {
    "PR1": "the diff",
    "PR2": "paths and modes",
    "PR3": "syntax and lint",
    "PR4": "track rules",
    "PR5": "integrity",
    "PR6": "judge",
}

_TABLE = (
    Code("PR100", "unreadable", "error",
         "What was submitted cannot be read as a diff.",
         "Make one with `git diff` or `git format-patch` against the baseline."),
    Code("PR101", "not-utf8", "error",
         "The diff holds bytes that are not UTF-8.",
         "Save the changed files and the diff as UTF-8."),
    Code("PR102", "nul-byte", "error",
         "The diff holds a NUL byte.",
         "Remove it; binary content cannot be handed in."),
    Code("PR103", "hidden-text", "error",
         "An added line or a file name holds bidirectional, zero-width or control characters, or variation selectors: "
         "it reads otherwise than it runs. Emoji sequences and joiners of scripts that join are ordinary text; a soft "
         "hyphen inside a word only warns.",
         "Write the character as an escape such as \\u200b, or remove it."),
    Code("PR104", "carriage-return", "error",
         "The diff, or a line that it adds, ends in CRLF where the file does not, or holds a lone "
         "CR.",
         "Make the diff again with LF line ends."),
    Code("PR105", "two-diffs", "error",
         "One file is changed by two diffs of the same patch.",
         "Merge them: one diff per file (a series of mails may touch a file again)."),
    Code("PR106", "surplus-lines", "error",
         "A hunk goes on after the number of lines that its header counts; git would drop the rest.",
         "Correct the counts in the @@ line, or make the diff with git."),
    Code("PR107", "contradicting-names", "error",
         "The headers name one file, and another one would change.",
         "Name the same file on the diff, --- and +++ lines."),
    Code("PR108", "does-not-apply", "error",
         "git refuses the diff.",
         "Make the diff against this baseline: `patchrun checkout N DIR`, edit, `git diff`."),
    Code("PR109", "offset", "warning",
         "A hunk was placed away from the line that its header gives.",
         "Make the diff against this baseline, so that its lines agree."),
    Code("PR110", "ambiguous-context", "error",
         "A hunk does not match where its header says, and not in exactly one other place.",
         "Make the diff against this baseline, or with more context (`git diff -U10`)."),
    Code("PR111", "empty-change", "error",
         "The patched files are those of the baseline.",
         "Hand in a diff that changes something."),
    Code("PR112", "mended", "info",
         "The form of the diff was mended before git read it, in the one way that it can be meant.",
         "Nothing: the patch is the one that was meant. `--strict` refuses such diffs."),
    Code("PR113", "left-out", "info",
         "A file that a run would never see was left out of the patch.",
         "Nothing, if the code does not need it."),
    Code("PR120", "false-claim", "error",
         "A stored attempt says of its diff what is not so: its tree, its digest of code or its patch id.",
         "Submit the diff again, in an arena of this tournament."),
    Code("PR201", "path-not-editable", "error",
         "A file changes or goes that the track does not let a patch change.",
         "Leave it as it is; the track's edit.paths lists what may change."),
    Code("PR202", "new-file", "error",
         "A file is added that the track does not allow.",
         "Put the code into a file that may change; the track's edit.new_paths lists what may be "
         "added."),
    Code("PR203", "binary", "error",
         "A file becomes binary, or the diff carries a binary patch.",
         "Hand in text only."),
    Code("PR204", "symlink", "error",
         "A symbolic link is added or changed.",
         "Hand in plain files."),
    Code("PR205", "submodule", "error",
         "A submodule is added or changed.",
         "Hand in plain files."),
    Code("PR206", "mode-change", "info",
         "The diff sets or clears a file's executable bit; the baseline's stays, and new files have none.",
         "Nothing: a run is started by patchrun, not by the file's mode."),
    Code("PR207", "git-control", "error",
         "A file that steers git, or a name that some systems take for .git, is touched.",
         "Leave .git, .gitattributes, .gitmodules and the like alone."),
    Code("PR208", "case-collision", "error",
         "Two files differ only in the case or the Unicode form of their names.",
         "Choose a name that is different on every file system."),
    Code("PR209", "shadow-module", "error",
         "A new file or folder takes the place of a module that scripts import.",
         "Choose a name that no installed or standard module has."),
    Code("PR210", "self-running", "error",
         "A file is touched that Python or a tool loads by itself, or that is compiled code.",
         "Hand in source that the script imports by name."),
    Code("PR211", "script-deleted", "error",
         "The script that the track launches goes.",
         "Keep it under its name and change it."),
    Code("PR212", "odd-path", "error",
         "A path holds control characters, backslashes, or begins or ends in a way that tools "
         "misread.",
         "Use letters, digits, dots, dashes and underscores."),
    Code("PR301", "syntax-error", "error",
         "A file is not Python.",
         "Correct the line; `python -m py_compile FILE` shows the same."),
    Code("PR302", "too-deep", "error",
         "The code is nested too deeply to be checked.",
         "Split the expression or the block."),
    Code("PR303", "broken-code", "error",
         "The linter sees a new error that ends a run: an undefined name, a misplaced statement, a wrong "
         "format. An undefined name in a branch asks a person.",
         "Correct the line; `ruff check FILE` shows the same."),
    Code("PR304", "lint", "info",
         "The linter sees a new flaw that does not end a run.",
         "Correct it if you like."),
    Code("PR305", "source-encoding", "error",
         "A Python file is not UTF-8, or declares another encoding.",
         "Save it as UTF-8 without an encoding line."),
    Code("PR306", "baseline-unreadable", "review",
         "The baseline's version of the file cannot be parsed by this Python: rules that compare "
         "could not be checked.",
         "A person must compare the file; or run patchrun under the track's Python."),
    Code("PR401", "protected-changed", "error",
         "What the track protects was changed: a definition; for a whole script its clock, its step lines, "
         "which files it trains and validates on.",
         "Restore it as in the baseline; comments and layout may differ."),
    Code("PR402", "protected-removed", "error",
         "A definition that the track protects is gone.",
         "Restore it as in the baseline."),
    Code("PR403", "protected-rebound", "error",
         "The name of a protected definition is bound again, by any statement, expression or write into its namespace; "
         "a local of that name asks a person. Or an import or builtin that it reads is.",
         "Use another name."),
    Code("PR404", "review-changed", "review",
         "What the track watches was changed: a definition; for a whole script the validation block, the loss "
         "that its model returns, the warm-up before its clock, what reads the validation files.",
         "Nothing, if the change is honest: a person looks at it."),
    Code("PR405", "forbidden-call", "error",
         "A name that the track forbids is newly used, directly or under an alias.",
         "Do without it; the track's edit.forbidden_calls lists these names."),
    Code("PR501", "clock-changed", "review",
         "A function that tells or awaits time is replaced.",
         "Leave clocks and synchronisation alone."),
    Code("PR502", "clock-used", "info",
         "A clock is newly read or waited on.",
         "Nothing, if it is only printed."),
    Code("PR503", "process", "review",
         "A process is newly started or replaced.",
         "Do the work in the script's own process."),
    Code("PR504", "thread", "review",
         "A thread or an event loop is newly used.",
         "Say in a comment what runs in it; work outside the timed steps counts as cheating."),
    Code("PR505", "network", "review",
         "The network is newly used.",
         "Runs have no network: remove it."),
    Code("PR506", "native-code", "review",
         "Native code is newly loaded or built.",
         "Write it in Python, torch or triton."),
    Code("PR507", "dynamic-code", "review",
         "Code or a name is made at run time: exec, importlib, getattr with a computed name, pickle.",
         "Write the name or the code out."),
    Code("PR508", "environment", "review",
         "The environment of the process is changed.",
         "Leave it alone; the track's launch.env sets it."),
    Code("PR509", "much-data", "review",
         "Added lines look like data, whatever holds them (numbers, texts, names, comments, blanks): they may carry "
         "weights or code. Above the track's limits.added_bytes, or three times the human patch, it rejects.",
         "Compute the values, or say in a comment where they come from."),
    Code("PR510", "torch-flag", "warning",
         "A global switch of torch, its compiler or a backend is newly set.",
         "Nothing, if the track allows it."),
    Code("PR511", "file-access", "review",
         "A file or folder is newly read or written.",
         "Use only what the track hands the script."),
    Code("PR512", "introspection", "review",
         "Frames, the garbage collector, hooks, signals or an object's internals are newly used.",
         "Do without it."),
    Code("PR513", "monkey-patch", "review",
         "An attribute of an imported module is replaced.",
         "Call your own function instead."),
    Code("PR514", "result-line", "review",
         "New text looks like a result or step line of the log.",
         "Leave the lines that report results alone: they are not evidence."),
    Code("PR515", "decoding", "review",
         "Data are newly decoded or unpacked.",
         "Write the values out."),
    Code("PR516", "counting", "review",
         "Values are newly counted, or solved for in one go: so a model gets its weights from tables of "
         "the data.",
         "Let parameters be learned by gradient steps; say in a comment what is counted."),
    Code("PR517", "own-randomness", "review",
         "Random numbers of the patch's own: a generator, a seed, a hash, or draws that are thrown away. They can pick "
         "a lucky start.",
         "Draw from torch's generator as it was seeded, and only what you use; say in a comment what another "
         "one is for."),
    Code("PR518", "look-alike-name", "review",
         "A new name is spelled in letters of another script and reads as a plain one: it may be taken for another.",
         "Spell it in Latin letters; Greek letters and other symbols that look like themselves are fine."),
    Code("PR601", "judge-objects", "review",
         "The judge, a language model, thinks that a rule is broken; the lines that it quotes exist unless it is "
         "said that they were dropped.",
         "Nothing, if the change is honest: a person looks at it."),
    Code("PR602", "judge-unsure", "review",
         "The judge is not sure whether a rule is kept.",
         "Nothing; a comment in the code may make it clear to a person."),
    Code("PR603", "judge-silent", "info",
         "The judge did not answer, or not on every rule.",
         "Ask again with `patchrun validate --judge`, or leave it: the other findings stand."),
    Code("PR604", "judge-asked", "info",
         "The judge saw the patch; what it objects to is said in findings of their own.",
         "Nothing: that it found no rule broken proves nothing."),
)  # fmt: skip

CODES = {code.id: code for code in _TABLE}


def make_finding(
    code: str,
    message: str,
    path: str | None = None,
    line: int | None = None,
    *,
    severity: Severity | None = None,
    hint: str | None = None,
) -> Finding:
    """A finding with the code's own severity and advice unless others are given; KeyError for no such code."""
    kind = CODES[code]
    return Finding(
        code=code,
        severity=severity or kind.severity,
        message=_clean(message),
        path=None if path is None else _clean(path).replace("\n", "\\n"),
        line=line,
        hint=kind.advice if hint is None else hint,
    )


def to_markdown() -> str:
    """The text of `docs/findings.md`."""
    from tabulate import tabulate

    parts = [
        "# Findings",
        "What `patchrun validate` and `patchrun submit` can say of a patch. `error` rejects it; `review` asks "
        "a person; `warning` and `info` only tell. The severity is the usual one: a finding may carry another "
        "where the table says so. In SARIF and in annotations `review` and `warning` are warnings and `info` is "
        "a note. Codes PR6xx come from the judge, a language model that is asked with `--judge`: they never reject.",
    ]
    for prefix, group in GROUPS.items():
        codes = [code for code in _TABLE if code.id.startswith(prefix)]
        rows = [(code.id, code.name, code.severity, code.meaning, code.advice) for code in codes]
        if rows:
            headers = ("code", "name", "severity", "what was seen", "what to do")
            parts += [f"## {prefix}xx: {group}", tabulate(rows, headers, tablefmt="github")]
    return "\n\n".join(parts) + "\n"


def _clean(text: str) -> str:
    """One printable line that any encoder takes: a hostile name must not steer a terminal or break JSON."""
    shown = "".join(char if char.isprintable() else _escape(char) for char in text[: LONGEST_MESSAGE + 1])
    return shown if len(text) <= LONGEST_MESSAGE else shown[: LONGEST_MESSAGE - 3] + "..."


def _escape(char: str) -> str:
    return "\n" if char == "\n" else char.encode("unicode_escape", "surrogatepass").decode("ascii")
