"""Which module may import which: core is pure, adapters are thin, services do the work, faces are on top."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from tests.conftest import change

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "patchrun"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAY_IMPORT = {
    "core": {"core"},
    "adapters": {"core", "adapters"},
    "services": {"core", "adapters", "services"},
    "faces": {"core", "adapters", "services", "faces"},
    "launch": set(),
}
IMPURE = {"git", "subprocess", "torch", "pathlib", "os", "shutil", "socket", "tempfile", "anthropic", "click"}
LATE = {"torch", "scipy", "anthropic", "plotly", "matplotlib", "rich", "git", "tokenizers"}
LATE |= {"jinja2", "markupsafe", "pygments", "selenium"}


def imports(path: Path, top_only: bool = False) -> set[str]:
    """The dotted names that a module imports; those at its top level only with ``top_only``."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_its_own_layer_and_those_below(path: Path) -> None:
    if not layer(path):
        return
    used = {name.split(".")[1] for name in imports(path) if name.startswith("patchrun.")}
    used -= {"__version__"}
    assert used <= MAY_IMPORT[layer(path)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_core_touches_nothing_outside(path: Path) -> None:
    if layer(path) == "core":
        assert not {name.split(".")[0] for name in imports(path)} & IMPURE


def test_one_module_starts_processes() -> None:
    users = {str(path.relative_to(PACKAGE)) for path in MODULES if "subprocess" in imports(path)}
    assert users == {"adapters/process.py"}


def test_there_are_no_import_cycles() -> None:
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in MODULES}
    edges = {
        name: {used for used in imports(path, top_only=True) if used in names} for name, path in names.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for used in sorted(edges[name]):
                visit(used, (*trail, name))
            done.add(name)

    for name in names:
        visit(name, ())


def run_and_list(*words: str) -> tuple[str, set[str]]:
    """What a command prints, and the packages and modules of patchrun that it loads, in a process of its own."""
    script = "import sys, patchrun.faces.cli as c; c.run(sys.argv[1:]); print(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
    loaded = done.stderr.split()
    ours = {name for name in loaded if name.startswith("patchrun.")}
    return done.stdout, ours | {name.split(".")[0] for name in loaded}


def test_the_command_line_loads_no_heavy_package() -> None:
    said, loaded = run_and_list("--help")
    assert "Usage: patchrun" in said
    assert not loaded & (LATE | {"numpy", "pydantic", "msgspec", "unidiff", "tabulate"})


def test_validate_loads_only_what_it_needs(plain: Arena, tmp_path: Path) -> None:
    """As a whole command it may take three times what git, ruff and the compiler take: imports would be most of it."""
    (tmp_path / "a.diff").write_bytes(change("RATE = 1", "RATE = 3", 1))
    words = ("-C", str(plain.repo.path.parent), "validate", str(tmp_path / "a.diff"), "--record", "1")
    said, loaded = run_and_list(*words)
    assert said.startswith("accepted: no findings")
    assert {"msgspec", "patchrun.services.validator"} <= loaded
    assert not loaded & (LATE | {"numpy", "pydantic", "tabulate", "patchrun.services.tournament"})


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_packages_are_imported_where_they_are_used(path: Path) -> None:
    if layer(path) != "launch":
        assert not {name.split(".")[0] for name in imports(path, top_only=True)} & LATE


def test_the_tests_are_at_least_as_long_as_the_package() -> None:
    def lines(folder: Path) -> int:
        return sum(len(path.read_text().splitlines()) for path in folder.rglob("*.py"))

    assert lines(ROOT / "tests") >= lines(PACKAGE)


def test_the_top_level_is_what_the_architecture_says() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    for name in ("baselines", "hint_tiers", "tests", "examples", "patchrun"):
        assert (ROOT / name).is_dir() and f"`{name}/" in page
