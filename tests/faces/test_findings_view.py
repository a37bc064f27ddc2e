"""Findings as text, JSON, SARIF and annotations."""

from __future__ import annotations

import json

import jsonschema
import pytest

from patchrun.core.codes import CODES, make_finding
from patchrun.core.errors import UsageError
from patchrun.core.findings import Finding
from patchrun.core.hunks import Stats
from patchrun.faces.findings_view import render
from patchrun.services.validator import Validation

DIFF = b"--- a/train.py\n+++ b/train.py\n@@ -1 +1,2 @@\n a\n+b\n"
SOURCES = {"train.py": "import os\n\n\ndef f():\n\treturn undefined\n\n\nf()\n"}
FINDINGS = (
    make_finding("PR303", "F821 Undefined name `undefined`", "train.py", 5),
    make_finding("PR108", "error: patch failed: train.py:1\nerror: train.py: patch does not apply", line=3),
    make_finding("PR111", "the patch leaves every file as it is"),
    make_finding("PR403", "main is protected, and f has a name of its own", "train.py", 4, severity="review"),
    make_finding("PR510", "torch.backends.x is written", "a dir/é.py", 2),
    make_finding("PR304", "F401 `os` imported but unused", "train.py", 1),
)

# The parts of SARIF 2.1.0 that consumers rest on, after the OASIS standard's sections 3.13 to 3.50.
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "$schema": {"type": "string", "format": "uri"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "version": {"type": "string"},
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "required": ["id"],
                                            "properties": {
                                                "shortDescription": {"$ref": "#/definitions/words"},
                                                "help": {"$ref": "#/definitions/words"},
                                                "defaultConfiguration": {
                                                    "type": "object",
                                                    "properties": {"level": {"$ref": "#/definitions/level"}},
                                                },
                                            },
                                        },
                                    },
                                },
                            }
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message", "ruleId", "ruleIndex", "locations"],
                            "properties": {
                                "level": {"$ref": "#/definitions/level"},
                                "message": {"$ref": "#/definitions/words"},
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "locations": {
                                    "type": "array",
                                    "minItems": 1,
                                    "items": {
                                        "type": "object",
                                        "properties": {
                                            "physicalLocation": {
                                                "type": "object",
                                                "required": ["artifactLocation"],
                                                "properties": {
                                                    "artifactLocation": {
                                                        "type": "object",
                                                        "required": ["uri"],
                                                        "properties": {
                                                            "uri": {"pattern": r"^[A-Za-z0-9._~/%-]+$"}
                                                        },
                                                    },
                                                    "region": {
                                                        "type": "object",
                                                        "required": ["startLine"],
                                                        "properties": {
                                                            "startLine": {"type": "integer", "minimum": 1}
                                                        },
                                                    },
                                                },
                                            }
                                        },
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
    "definitions": {
        "level": {"enum": ["none", "note", "warning", "error"]},
        "words": {
            "type": "object",
            "required": ["text"],
            "properties": {"text": {"type": "string", "minLength": 1}},
        },
    },
}


def validation(*findings: Finding, diff: bytes = DIFF, patch_id: str = "ab" * 20) -> Validation:
    return Validation(patch_id, Stats(2, 3, 1), findings, "t" * 40, diff, None)


def show(format: str, *findings: Finding, sources: dict[str, str] = SOURCES) -> str:
    return render(validation(*findings), 12, "pocket", format, sources)


def test_text_of_an_accepted_patch_is_one_line() -> None:
    assert show("text") == "accepted: no findings (2 files, +3 -1, patch id abababababab)"


def test_text_has_a_headline_a_table_and_each_finding_with_its_lines() -> None:
    text = show("text", *FINDINGS)
    assert text.startswith(
        "rejected: 3 error, 1 review, 1 warning, 1 info (2 files, +3 -1, patch id abababababab)\n"
    )
    table = text.split("\n\n")[1]
    assert table.splitlines()[0].split() == ["code", "severity", "place", "what"]
    assert [row.split()[0] for row in table.splitlines()[2:]] == [one.code for one in FINDINGS]
    for finding in FINDINGS:
        assert f"{finding.code} {CODES[finding.code].name} ({finding.severity})" in text
        assert f"  hint: {finding.hint}" in text


def test_the_offending_line_is_shown_with_carets_and_its_neighbours() -> None:
    block = show("text", FINDINGS[0]).split("\n\n")[-1]
    assert block.splitlines()[2:-1] == [
        "    3 |",
        "    4 | def f():",
        "  > 5 |     return undefined",
        "      |     ^^^^^^^^^^^^^^^^",
        "    6 |",
        "    7 |",
    ]


def test_a_finding_without_a_path_shows_the_diff() -> None:
    block = show("text", FINDINGS[1]).split("\n\n")[-1]
    assert "  > 3 | @@ -1 +1,2 @@" in block
    assert "  error: patch failed: train.py:1\n  error: train.py: patch does not apply\n" in block


@pytest.mark.parametrize("line", [0, 99, None])
def test_a_line_that_does_not_exist_shows_no_source(line: int | None) -> None:
    assert "|" not in show("text", make_finding("PR301", "broken", "train.py", line))


def test_a_file_that_is_not_there_shows_no_source() -> None:
    assert "|" not in show("text", FINDINGS[4])


def test_source_lines_cannot_steer_a_terminal_and_are_cut() -> None:
    sources = {"train.py": "x = '\x1b[2J\u202e\x07'\r\n" + "y" * 5000 + "\rz\u2028w"}
    text = show("text", make_finding("PR301", "broken", "train.py", 1), sources=sources)
    assert "> 1 | x = '\\x1b[2J\\u202e\\x07'" in text
    assert "3 | z\\u2028w" in text
    assert max(map(len, text.splitlines())) < 200


def test_json_has_exactly_the_documented_keys() -> None:
    document = json.loads(show("json", *FINDINGS))
    keys = ["track", "record", "accepted", "patch_id", "tree", "stats", "mended", "findings"]
    assert list(document) == keys
    assert (document["track"], document["record"], document["accepted"]) == ("pocket", 12, False)
    assert document["stats"] == {"files": 2, "added": 3, "removed": 1}
    assert list(document["findings"][0]) == ["code", "severity", "path", "line", "message", "hint"]
    assert document["findings"][2]["path"] is document["findings"][2]["line"] is None


def test_json_of_a_span_and_of_no_patch_id() -> None:
    document = json.loads(render(validation(patch_id=""), "30..62", "nanogpt", "json", {}))
    assert (document["record"], document["patch_id"], document["accepted"]) == ("30..62", None, True)
    assert document["findings"] == []


def test_sarif_keeps_to_the_standard() -> None:
    document = json.loads(show("sarif", *FINDINGS))
    jsonschema.Draft7Validator(SARIF).validate(document)
    run = document["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted({one.code for one in FINDINGS})
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    assert [result["level"] for result in run["results"]] == [
        "error",
        "error",
        "error",
        "warning",
        "warning",
        "note",
    ]


def test_sarif_locations() -> None:
    places = [
        result["locations"][0]["physicalLocation"]
        for result in json.loads(show("sarif", *FINDINGS))["runs"][0]["results"]
    ]
    assert places[0] == {"artifactLocation": {"uri": "train.py"}, "region": {"startLine": 5}}
    assert places[1] == {"artifactLocation": {"uri": "patch.diff"}, "region": {"startLine": 3}}
    assert places[2] == {"artifactLocation": {"uri": "patch.diff"}, "region": {"startLine": 1}}, (
        "GitHub wants one"
    )
    assert places[4]["artifactLocation"] == {"uri": "a%20dir/%C3%A9.py"}


def test_sarif_of_an_accepted_patch_is_an_empty_run() -> None:
    document = json.loads(show("sarif"))
    jsonschema.Draft7Validator(SARIF).validate(document)
    assert document["runs"][0]["results"] == document["runs"][0]["tool"]["driver"]["rules"] == []


def test_the_schema_of_this_test_can_refuse() -> None:
    document = json.loads(show("sarif", *FINDINGS))
    document["runs"][0]["results"][0]["level"] = "review"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(SARIF).validate(document)


def test_annotations_one_a_line() -> None:
    lines = show("github", *FINDINGS).splitlines()
    assert [line.split(" ")[0] for line in lines] == [
        "::error", "::error", "::error", "::warning", "::warning", "::notice",
    ]  # fmt: skip
    assert lines[0].startswith(
        "::error file=train.py,line=5,title=PR303 broken-code (error)::F821 Undefined name"
    )
    assert lines[2].startswith("::error title=PR111 empty-change (error)::the patch leaves")
    assert show("github") == ""


def test_annotations_escape_what_would_end_them() -> None:
    finding = make_finding("PR202", "50% of\r\nit::error file=x::", "a,b:c%.py", 1, hint="go: on, 100%")
    line = show("github", finding)
    assert line.startswith("::error file=a%2Cb%3Ac%25.py,line=1,title=PR202 new-file (error)::50%25 of")
    assert "\n" not in line and "\r" not in line
    assert line.endswith("%0Ago: on, 100%25")
    assert line.count("::error") == 2, "the second one is inside the message, where it commands nothing"


def test_another_format_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no format 'xml'"):
        show("xml")


def test_hostile_bytes_in_the_diff_do_not_stop_any_format() -> None:
    hostile = validation(make_finding("PR101", "byte \udcff", "\udcff.py", 1), diff=b"\xff\0\x1b\n")
    for format in ("text", "json", "sarif", "github"):
        render(hostile, 1, "pocket", format, {}).encode("utf-8")
