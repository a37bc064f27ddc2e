"""The tools of an agent that speaks the Messages API: their forms, their descriptions, and what carries them out."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from patchrun.core.manifest import Strict, load_manifest
from patchrun.services.agents import filetools
from patchrun.services.agents.filetools import ToolError, cut
from patchrun.services.agents.protocol import Feedback, Tools, Workspace
from patchrun.services.agents.workspace import attempts_page

ATTEMPTS_CHARACTERS = 60_000
PathName = Annotated[str, Meta(description="Relative to the workspace, such as train.py.")]
Line = Annotated[int, Meta(ge=1)]


class View(msgspec.Struct, forbid_unknown_fields=True):
    path: PathName = "."
    first_line: Line = 1
    last_line: Line | None = None


class Search(msgspec.Struct, forbid_unknown_fields=True):
    pattern: str
    path: PathName = "."


class Edit(msgspec.Struct, forbid_unknown_fields=True):
    path: PathName
    old: str
    new: str


class Create(msgspec.Struct, forbid_unknown_fields=True):
    path: PathName
    text: str


class Validate(msgspec.Struct, forbid_unknown_fields=True):
    pass


class TrySteps(msgspec.Struct, forbid_unknown_fields=True):
    steps: Annotated[int, Meta(ge=1, le=10_000)]


FORMS: dict[str, type[msgspec.Struct]] = {
    "view": View, "search": Search, "edit": Edit, "create": Create, "validate": Validate, "try_steps": TrySteps,
}  # fmt: skip


class Prompts(Strict):
    """``claude.toml``."""

    version: Literal[1]
    system: str
    first: str
    hint: str
    tools: dict[str, str]


def read_prompts() -> Prompts:
    """The prompts that the package ships."""
    text = files("patchrun").joinpath("prompts/claude.toml").read_text(encoding="utf-8")
    return load_manifest(Prompts, text, "claude.toml")


def describe_tools(prompts: Prompts) -> list[dict[str, Any]]:
    """The tools as the API takes them; KeyError for one without a description."""
    from patchrun.adapters.claude import make_schema

    return [
        {
            "name": name,
            "description": " ".join(prompts.tools[name].split()),
            "input_schema": make_schema(form),
        }
        for name, form in FORMS.items()
    ]


def write_first(prompts: Prompts, workspace: Workspace, feedback: Feedback) -> str:
    """The first message: task, hints, what earlier attempts came to, the files."""
    hints = "".join(
        Template(prompts.hint).substitute(name=name, text=text)
        for name, text in sorted(workspace.hints.items())
    )
    attempts = f"\n{attempts_page(workspace.track, feedback)}" if feedback.attempts else ""
    return Template(prompts.first).substitute(
        task=workspace.task.strip(), hints=hints, attempts=cut(attempts, ATTEMPTS_CHARACTERS),
        files=filetools.list_files(workspace.folder, workspace.folder),
    )  # fmt: skip


def use_tool(folder: Path, tools: Tools, name: str, arguments: object) -> tuple[str, bool]:
    """Carry out one call: the answer for the model, and whether it is an error. Wrong arguments are answered too."""
    try:
        form = FORMS.get(name)
        if form is None:
            raise ToolError(f"there is no tool {name}: use one of {', '.join(FORMS)}")
        return cut(_carry_out(folder, tools, msgspec.convert(arguments, form))) or "(nothing)", False
    except msgspec.ValidationError as error:
        return f"wrong arguments for {name}: {error}", True
    except ToolError as error:
        return str(error), True


def _carry_out(folder: Path, tools: Tools, call: msgspec.Struct) -> str:
    match call:
        case View():
            return filetools.view(folder, call.path, call.first_line, call.last_line)
        case Search():
            return filetools.search(folder, call.pattern, call.path)
        case Edit():
            return filetools.edit(folder, call.path, call.old, call.new)
        case Create():
            return filetools.create(folder, call.path, call.text)
        case TrySteps():
            return tools.try_steps(call.steps)
        case _:
            return tools.validate()


def describe_call(block: Mapping[str, Any]) -> str:
    """A call in a few words, for people who watch."""
    given = block["input"] if isinstance(block["input"], dict) else {}
    what = given.get("path") or given.get("pattern") or given.get("steps") or ""
    return f"{block['name']} {what}".strip()
