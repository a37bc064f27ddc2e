"""Findings for people and for machines: text, JSON, SARIF 2.1.0, and annotations of GitHub's workflows."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from patchrun import __version__
from patchrun.core.codes import CODES
from patchrun.core.errors import UsageError
from patchrun.core.findings import Finding
from patchrun.faces.plain_text import spell

if TYPE_CHECKING:
    from patchrun.services.validator import Validation

DIFF = "patch.diff"
CONTEXT_LINES = 2
WIDEST = 150
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
SARIF_LEVELS = {"error": "error", "review": "warning", "warning": "warning", "info": "note"}
GITHUB_WORDS = {"error": "error", "review": "warning", "warning": "warning", "info": "notice"}


def render(
    validation: Validation, record: int | str, track_name: str, format: str, sources: Mapping[str, str]
) -> str:
    """A validation as ``text``, ``json``, ``sarif`` or ``github``, without a final newline.

    ``sources`` are the texts of patched files by path; findings without a path point into the diff itself.
    Raises UsageError for another format.
    """
    if format == "text":
        return _to_text(validation, {**sources, DIFF: validation.diff.decode("utf-8", "replace")})
    if format == "github":
        return "\n".join(map(_to_annotation, validation.findings))
    documents: dict[str, Callable[[], Any]] = {
        "json": lambda: _to_document(validation, record, track_name),
        "sarif": lambda: _to_sarif(validation, record, track_name),
    }
    if format not in documents:
        raise UsageError(f"no format {format!r}", "choose text, json, sarif or github")
    return json.dumps(documents[format](), indent=2, ensure_ascii=False)


def _to_document(validation: Validation, record: int | str, track_name: str) -> dict[str, Any]:
    stats = validation.stats
    return {
        "track": track_name,
        "record": record,
        "accepted": validation.accepted,
        "patch_id": validation.patch_id or None,
        "tree": validation.tree,
        "stats": {"files": stats.files, "added": stats.added, "removed": stats.removed},
        "mended": list(validation.mended),
        "findings": [
            {key: getattr(one, key) for key in ("code", "severity", "path", "line", "message", "hint")}
            for one in validation.findings
        ],
    }


def _to_text(validation: Validation, sources: Mapping[str, str]) -> str:
    """A headline, a table of the findings, then each with the lines it is about and what to do."""
    if not validation.findings:
        return _headline(validation)
    from tabulate import tabulate

    rows = [(one.code, one.severity, _place(one), one.message.split("\n")[0]) for one in validation.findings]
    headers, widths = ("code", "severity", "place", "what"), [None, None, 36, 72]
    table = tabulate(rows, headers, maxcolwidths=widths, disable_numparse=True)
    return "\n\n".join(
        [_headline(validation), table, *(_describe(one, sources) for one in validation.findings)]
    )


def _headline(validation: Validation) -> str:
    counts = Counter(finding.severity for finding in validation.findings)
    told = ", ".join(f"{counts[name]} {name}" for name in SARIF_LEVELS if counts[name]) or "no findings"
    stats = validation.stats
    files = f"{stats.files} file{'' if stats.files == 1 else 's'}, +{stats.added} -{stats.removed}"
    name = f", patch id {validation.patch_id[:12]}" if validation.patch_id else ""
    return f"{'accepted' if validation.accepted else 'rejected'}: {told} ({files}{name})"


def _place(finding: Finding) -> str:
    path = finding.path or ("the diff" if finding.line else "")
    return f"{path}:{finding.line}" if finding.line else path


def _describe(finding: Finding, sources: Mapping[str, str]) -> str:
    lines = [f"{finding.code} {CODES[finding.code].name} ({finding.severity})"]
    lines += [f"  {line}" for line in finding.message.split("\n")]
    lines += _excerpt(sources.get(finding.path or DIFF, ""), finding.line)
    return "\n".join([*lines, f"  hint: {finding.hint}"] if finding.hint else lines)


def _excerpt(text: str, line: int | None) -> list[str]:
    """The lines around ``line`` (from 1), numbered, and carets under it; nothing where it does not exist."""
    lines = re.split("\r\n|\r|\n", text)
    if not line or not 1 <= line <= len(lines):
        return []
    first, last = max(line - CONTEXT_LINES, 1), min(line + CONTEXT_LINES, len(lines))
    width = len(str(last))
    shown = []
    for number in range(first, last + 1):
        source = _printable(lines[number - 1])
        shown.append(f"  {'>' if number == line else ' '} {number:>{width}} | {source}".rstrip())
        if number == line:
            indent = len(source) - len(source.lstrip())
            shown.append(f"    {'':>{width}} | {' ' * indent}{'^' * max(len(source.strip()), 1)}")
    return shown


def _printable(line: str) -> str:
    """A line that cannot steer a terminal: what is not printable is spelled, and what is too long is cut."""
    spelled = spell(line[: WIDEST + 1].expandtabs(4))
    return spelled if len(spelled) <= WIDEST else spelled[: WIDEST - 3] + "..."


def _to_sarif(validation: Validation, record: int | str, track_name: str) -> dict[str, Any]:
    """One run of SARIF 2.1.0 (OASIS standard), with the rules that its results name."""
    codes = sorted({finding.code for finding in validation.findings})
    driver = {"name": "patchrun", "version": __version__, "rules": [_to_rule(code) for code in codes]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_to_result(finding, codes) for finding in validation.findings],
        "properties": {"track": track_name, "record": record, "accepted": validation.accepted},
    }
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _to_rule(code: str) -> dict[str, Any]:
    kind = CODES[code]
    return {
        "id": code,
        "name": kind.name,
        "shortDescription": {"text": kind.meaning},
        "help": {"text": kind.advice},
        "defaultConfiguration": {"level": SARIF_LEVELS[kind.severity]},
        "properties": {"severity": kind.severity, "tags": [kind.group]},
    }


def _to_result(finding: Finding, codes: Sequence[str]) -> dict[str, Any]:
    """GitHub shows a result where a region says where, and knows it again by its fingerprint."""
    place = {
        "artifactLocation": {"uri": quote(finding.path or DIFF)},
        "region": {"startLine": finding.line or 1},
    }
    print_of = hashlib.sha256(
        "\0".join((finding.code, finding.path or "", finding.message)).encode()
    ).hexdigest()
    return {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": SARIF_LEVELS[finding.severity],
        "message": {"text": f"{finding.message}\n{finding.hint}".rstrip("\n")},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"patchrun/v1": print_of},
        "properties": {"severity": finding.severity},
    }


def _to_annotation(finding: Finding) -> str:
    """A workflow command; https://docs.github.com names its characters that must be escaped."""
    told = {
        "file": finding.path,
        "line": finding.line if finding.path else None,
        "title": f"{finding.code} {CODES[finding.code].name} ({finding.severity})",
    }
    properties = ",".join(f"{key}={_escape_property(str(value))}" for key, value in told.items() if value)
    words = f"{finding.message}\n{finding.hint}" if finding.hint else finding.message
    return f"::{GITHUB_WORDS[finding.severity]} {properties}::{_escape_message(words)}"


def _escape_message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_message(text).replace(":", "%3A").replace(",", "%2C")
