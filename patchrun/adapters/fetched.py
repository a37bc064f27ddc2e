"""What the scripts of some eras fetch when they start, brought in once, since a run in the sandbox has no network.

Kernels of a hub (``NAME`` or ``NAME@VERSION``) and tokenizers' encodings, by the interpreter that will use them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from patchrun.adapters import process
from patchrun.core.errors import SetupError

FETCH_SECONDS = 1800
SAYS = "environment.json"
_FETCH = """
import json, sys
from pathlib import Path
kernels, encodings = json.loads(sys.argv[1])
places = []
for name in kernels:
    from kernels._versions import select_revision_or_version
    from kernels.utils import install_kernel
    repository, _, version = name.partition("@")
    revision = select_revision_or_version(repository, revision=None, version=int(version) if version else None)
    places.append(repository + "=" + str(Path(install_kernel(repository, revision=revision)[1]).parent))
for name in encodings:
    import tiktoken
    tiktoken.get_encoding(name)
print()
print(json.dumps(":".join(places)))
"""


def fetched_home(python: str, kernels: Sequence[str], encodings: Sequence[str], cache: Path) -> Path:
    """Where all that lies: by interpreter, since kernels are built for its torch."""
    words = json.dumps([os.path.realpath(Path(python).parent), sorted(kernels), sorted(encodings)])
    return cache / "fetched" / hashlib.sha256(words.encode()).hexdigest()[:16]


def is_fetched(home: Path) -> bool:
    """All of it is there."""
    return (home / SAYS).is_file()


def fetch(python: str, kernels: Sequence[str], encodings: Sequence[str], cache: Path) -> Path:
    """Bring it in, unless it is there; the folder to show to runs.

    Raises:
        SetupError: the hub cannot be reached, or has nothing for this torch (in the package's words).
    """
    home = fetched_home(python, kernels, encodings, cache)
    if is_fetched(home):
        return home
    home.mkdir(parents=True, exist_ok=True)
    places = {"HF_HOME": str(home / "hub"), "TIKTOKEN_CACHE_DIR": str(home / "encodings")}
    argv = [python, "-c", _FETCH, json.dumps([list(kernels), list(encodings)])]
    done = process.run(argv, env={**os.environ, **places}, timeout=FETCH_SECONDS)
    if not done.ok:
        what = ", ".join([*kernels, *encodings])
        raise SetupError(
            f"cannot fetch {what}: {done.errors.splitlines()[-1] if done.errors else 'no reason given'}",
            "see that the network answers; runs themselves have none",
        )
    local = json.loads(done.stdout.decode().splitlines()[-1])
    says = {**places, "HF_HUB_OFFLINE": "1", "LOCAL_KERNELS": local}
    (home / f".{SAYS}").write_text(json.dumps({name: text for name, text in says.items() if text}, indent=1))
    (home / f".{SAYS}").rename(home / SAYS)
    return home


def environment_of(home: Path) -> dict[str, str]:
    """The variables by which the packages find what was fetched."""
    return json.loads((home / SAYS).read_text())
