"""Bubblewrap around a run: namespaces of its own, an unprivileged uid, and a file system of what it needs.

The words of one start, from outside to inside:

1. As root, where need be: ``unshare`` makes a mount namespace, in which what lies behind a folder that the run's uid
   may not enter (an interpreter under root's home, say) is bound to where it may.
2. ``sh`` makes these mounts, joins the run's control group and opens the seccomp program.
3. As root only: ``setpriv`` drops to that uid for good. Started as root, bubblewrap would leave ``/proc/sys`` writable.
4. ``bwrap`` makes the sandbox. The run is process 1 in it: no other process is there to be tampered with, the
   kernel ends all others when it ends, and counts their CPU time as its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from patchrun.adapters import leavings, process
from patchrun.adapters.cgroups import Cgroup
from patchrun.core.errors import SetupError

LAUNCH = Path(__file__).parents[1] / "launch"
UID = 65333  # of runs started by root: in a range that distributions keep free of users
INSIDE = "1000"  # what a run sees as its own uid, whatever it is outside
HOST = "sandbox"  # launch/etc/hosts names it: torchrun hangs for minutes where its host has no address
SECCOMP_FD = 9
CACHE = Path("/compiled")  # one place for every run: compilers write paths into what they keep
SHELL = (
    f'[ ! -s "$0/mounts" ] || mount --all --fstab "$0/mounts" || exit 1; exec {SECCOMP_FD}<"$0/filter" || exit 1; '
    'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit 1; shift; done; shift; exec "$@"'
)
STAGES = ("/mnt", "/media", "/srv", "/opt", "/run")  # one, empty in that namespace, holds what is bound
NAMESPACES = (
    "--unshare-user", "--disable-userns", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
    "--unshare-cgroup-try", "--uid", INSIDE, "--gid", INSIDE, "--hostname", HOST, "--die-with-parent", "--as-pid-1",
)  # fmt: skip
DROP = (
    "--reuid", str(UID), "--regid", str(UID), "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
    "--no-new-privs", "--",
)  # fmt: skip
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")  # links into /usr, or folders of their own
NET_ETC = ("resolv.conf", "ssl", "pki", "ca-certificates", "gai.conf", "services")
ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "alternatives")
OWN_ETC = ("hosts", "passwd", "group", "nsswitch.conf")
ASK = "import json, sys; print(json.dumps([sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix]))"


@dataclass(frozen=True)
class Room:
    """What one run sees and may use.

    ``place``: its own folder, read-only but for ``out`` in it; ``home`` in it is fresh memory. ``readable``: more
    folders; ``writable``: folders of the run's own that outlast it. ``instead``: file that it sees -> file whose
    content it finds there, in a folder of its own. ``python``: its interpreter ("" for none).
    ``memory_bytes``: of all its processes together, and a quarter of it for each of /tmp, /dev/shm and home. ``tasks``:
    processes and threads. ``cuda``: with the GPUs' device nodes. ``start``: the folder to start in, else the place.
    ``network``: with this machine's network; ``watches``: may be told of changes to files; no training run has these.
    ``cache``: its own copy of a compile cache, which it finds at ``CACHE`` and may write to.
    """

    place: Path
    python: str = ""
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    instead: Mapping[Path, Path] = field(default_factory=dict)
    memory_bytes: int = 1 << 30
    tasks: int = 256
    cuda: bool = False
    start: Path | None = None
    network: bool = False
    watches: bool = False
    cache: Path | None = None


@cache
def trouble() -> str:
    """Why bubblewrap does not work here, found by a start of it; "" where it works."""
    import tempfile

    for program in ("bwrap", *(["setpriv", "unshare", "mount"] if os.geteuid() == 0 else [])):
        if not shutil.which(program):
            return f"there is no {program}"
    with tempfile.TemporaryDirectory() as folder:
        argv = wrap(["true"], Room(Path(folder)), b"", None)
        done = process.run(argv, env={"PATH": os.defpath}, timeout=60)
    return "" if done.ok else f"bubblewrap does not work here: {done.errors}"


def wrap(argv: Sequence[str], room: Room, program: bytes, group: Cgroup | None) -> tuple[str, ...]:
    """The argv that runs ``argv`` in ``room``, under the seccomp ``program``; the place becomes the run's own.

    Raises:
        SetupError: the run could not read what it needs, or would see what it must not.
    """
    root = os.geteuid() == 0
    if root:
        for folder in (room.place, *room.writable, *_cache(room)):
            _hand_over(folder)
    shown = [
        *room.readable,
        *room.writable,
        *_cache(room),
        *(other.parent for other in room.instead.values()),
    ]
    needed = [room.place, *shown, LAUNCH, *interpreter_folders(room.python)]
    stage = _plan_stage(needed) if root else {}
    (room.place / "mounts").write_text(_mount_table(stage))
    (room.place / "filter").write_bytes(program)
    folders = [str(folder) for folder in group.folders] if group else []
    words = [str(_exposed(Path(argv[0]))) if argv[0] == room.python else argv[0], *argv[1:]]
    return (
        *((_find("unshare"), "--mount", "--propagation", "slave") if stage else ()),
        *(_find("sh"), "-c", SHELL, str(room.place), *folders, "--"),
        *((_find("setpriv"), *DROP) if root else ()),
        *(_find("bwrap"), *_namespaces(room), *_system(room), *_own(room, stage)),
        *(("--seccomp", str(SECCOMP_FD)) if program else ()),
        *("--", *words),
    )


@cache
def interpreter_folders(python: str) -> tuple[Path, ...]:
    """The folders that an interpreter and its packages lie in; none for ``""``.

    Packages elsewhere (paths that a .pth file adds) stay unseen: such a folder may hold anything.

    Raises:
        SetupError: it does not run.
    """
    if not python:
        return ()
    done = process.run([python, "-I", "-c", ASK], timeout=60)
    if not done.ok:
        raise SetupError(f"{python} does not run: {done.errors}")
    named = [Path(text) for text in json.loads(done.stdout)]
    found = dict.fromkeys([*named, *(Path(os.path.realpath(path)) for path in named)])
    return tuple(path for path in found if not path.is_relative_to("/usr"))


def _exposed(python: Path) -> Path:
    """The interpreter in its folder as it really is; the last link stays: by it python finds its environment."""
    return Path(os.path.realpath(python.parent)) / python.name


def _namespaces(room: Room) -> tuple[str, ...]:
    return tuple(word for word in NAMESPACES if not (room.network and word == "--unshare-net"))


def _system(room: Room) -> Iterator[str]:
    """Programs, libraries, devices and a few facts; nothing of anyone's home."""
    yield from ("--ro-bind", "/usr", "/usr")
    for name in MERGED:
        path = Path("/", name)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))
    for name in ETC:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    for name in OWN_ETC:
        source = LAUNCH / "etc" / (f"{name}.network" if room.network and name == "nsswitch.conf" else name)
        yield from ("--ro-bind", str(source), f"/etc/{name}")
    for name in NET_ETC if room.network else ():
        yield from ("--ro-bind-try", os.path.realpath(f"/etc/{name}"), f"/etc/{name}")
    yield from ("--ro-bind-try", "/nix/store", "/nix/store", "--proc", "/proc", "--dev", "/dev")
    seen = "/sys" if room.cuda else "/sys/devices/system"
    yield from ("--ro-bind-try", seen, seen)
    for node in gpu_nodes() if room.cuda else ():
        yield from ("--dev-bind", str(node), str(node))


def gpu_nodes(folder: Path = Path("/dev")) -> list[Path]:
    """The device nodes that CUDA opens: the cards, the control, memory and capability nodes."""
    cards = sorted(path for path in folder.glob("nvidia[0-9]*") if path.name[6:].isdigit())
    others = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "nvidia-caps")
    return cards + [folder / name for name in others if (folder / name).exists()]


def _own(room: Room, stage: Mapping[Path, Path]) -> Iterator[str]:
    """The run's interpreter, data and place, each at the path it has outside; fresh memory where it may scribble."""
    size = str(room.memory_bytes // 4)
    for folder in ("/tmp", "/dev/shm"):
        yield from ("--size", size, "--tmpfs", folder)
    prefixes = interpreter_folders(room.python)
    _refuse_to_show(prefixes, room)
    for path in (*prefixes, LAUNCH, room.place, *room.readable):
        yield from ("--ro-bind", str(stage.get(_real(path), _real(path))), str(path))
    for path in solution_folders(prefixes):
        yield from ("--tmpfs", str(path), "--remount-ro", str(path))
    for path, other in room.instead.items():
        folder = _real(other.parent)
        yield from ("--ro-bind", str(stage.get(folder, folder) / other.name), str(path))
    for path in room.writable:
        yield from ("--bind", str(stage.get(_real(path), _real(path))), str(path))
    for path in _cache(room):
        yield from ("--bind", str(stage.get(_real(path), _real(path))), str(CACHE))
    if (room.place / "out").is_dir():
        source = stage.get(_real(room.place), _real(room.place)) / "out"
        yield from ("--bind", str(source), str(room.place / "out"))
    if (room.place / "home").is_dir():
        yield from ("--size", size, "--tmpfs", str(room.place / "home"))
    yield from ("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", str(room.start or room.place))


def _cache(room: Room) -> tuple[Path, ...]:
    return () if room.cache is None else (room.cache,)


def solution_folders(prefixes: Iterable[Path]) -> list[Path]:
    """Where an installed patchrun keeps ladders, human patches and hints: nobody in a sandbox may read them."""
    homes = [Path("/usr"), Path("/usr/local"), *prefixes]
    return [home / "share" / "patchrun" for home in homes if (home / "share" / "patchrun").is_dir()]


def _refuse_to_show(prefixes: Iterable[Path], room: Room) -> None:
    """An environment that holds more than an interpreter would bring it all into the sandbox."""
    keys = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "patchrun"
    for prefix in prefixes:
        for private in (Path.home(), keys, room.place, *room.readable, *room.writable):
            if private.resolve().is_relative_to(prefix):
                raise SetupError(
                    f"the folder of {room.python}, {prefix}, holds {private} too, so a run would see it",
                    "use a virtual environment in a folder of its own",
                )


def _plan_stage(needed: Iterable[Path]) -> dict[Path, Path]:
    """Where what ``UID`` cannot get to is bound instead; SetupError for what it could not read even then."""
    real = sorted(set(map(_real, needed)))
    for path in real:
        _require_readable(path)
    closed = [path for path in real if closed_folder(path)]
    free = [Path(name) for name in STAGES if not any(path.is_relative_to(name) for path in real)]
    base = next(folder for folder in free if folder.is_dir())
    return {path: base / str(number) for number, path in enumerate(closed)}


def _mount_table(stage: Mapping[Path, Path]) -> str:
    """The binds of ``stage`` in the form of fstab(5)."""
    if not stage:
        return ""
    base = next(iter(stage.values())).parent
    lines = [f"tmpfs {base} tmpfs mode=0755 0 0"]
    for path, place in stage.items():
        escaped = re.sub(r"[\\\s#]", lambda found: f"\\{ord(found[0]):03o}", str(path))
        lines.append(f"{escaped} {place} none bind,X-mount.mkdir 0 0")
    return "\n".join(lines) + "\n"


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def closed_folder(path: Path) -> Path | None:
    """The first folder on the way to ``path`` that ``UID`` may not enter."""
    return next((folder for folder in reversed(path.parents) if not _may(folder, stat.S_IXOTH)), None)


def _may(path: Path, right: int) -> bool:
    """Whether ``UID``, a member of no group of anyone's, has ``right`` (given as the bit for others)."""
    facts = path.stat()
    return bool(facts.st_mode & (right << 6 if facts.st_uid == UID else right))


def _require_readable(path: Path) -> None:
    """SetupError where a run could not read ``path`` itself or what lies directly in it."""
    for each in (path, *(path.iterdir() if path.is_dir() and _may(path, stat.S_IROTH) else ())):
        if each.is_symlink():
            continue
        wanted = stat.S_IROTH | (stat.S_IXOTH if each.is_dir() else 0)
        if not all(_may(each, bit) for bit in (stat.S_IROTH, stat.S_IXOTH) if bit & wanted):
            raise SetupError(
                f"a run, under uid {UID}, cannot read {each}",
                f"make it readable (chmod -R o+rX {path}), or run patchrun as an ordinary user",
            )


def _hand_over(place: Path) -> None:
    """Make ``UID`` the owner of all in ``place``, links not followed; what is deeper than is read stays as it is."""
    os.chown(place, UID, UID, follow_symlinks=False)
    for entry in leavings.walk(place):
        os.chown(place / entry.path, UID, UID, follow_symlinks=False)


def _find(program: str) -> str:
    return shutil.which(program) or program
