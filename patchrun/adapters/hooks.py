"""What a shared arena's repository does by itself when others push: it takes new results and nothing else."""

from __future__ import annotations

from pathlib import Path

from patchrun.adapters.gitrepo import GitRepo

SETTINGS = {
    "receive.denyDeletes": "true",
    "receive.denyNonFastForwards": "true",
    "receive.fsckObjects": "true",
    "receive.autogc": "false",
    "receive.maxInputSize": str(1 << 30),
    "core.logAllRefUpdates": "false",
}
PRE_RECEIVE = r"""#!/bin/sh
# A shared arena takes new results and nothing else: no ref is changed, moved or deleted by a push.
refused=0
pushed=$(cat)
while read -r old new ref; do
    case "$old" in
    *[!0]*) echo "patchrun: $ref exists already; results are never overwritten or deleted" >&2; refused=1 ;;
    esac
    case "$new" in
    *[!0]*) ;;
    *) echo "patchrun: $ref would be deleted" >&2; refused=1 ;;
    esac
    case "$ref" in
    refs/patchrun/human/*) echo "patchrun: $ref: the ladder is the owner's" >&2; refused=1 ;;
    refs/patchrun/*) ;;
    *) echo "patchrun: $ref: only results (refs/patchrun/...) are taken" >&2; refused=1 ;;
    esac
done <<END
$pushed
END
# One git looks at all of them; one each says what is wrong, where not all are commits.
commits=$(printf '%s\n' "$pushed" | cut -d ' ' -f 2 | git cat-file --batch-check='%(objecttype)' | grep -c '^commit$')
if [ "$commits" != "$(printf '%s\n' "$pushed" | grep -c '')" ]; then
    refused=1
    while read -r old new ref; do
        kind=$(git cat-file -t "$new" 2>/dev/null)
        [ "$kind" = commit ] || echo "patchrun: $ref is no result: a ${kind:-missing object}" >&2
    done <<END
$pushed
END
fi
exit $refused
"""


def guard(repo: GitRepo) -> None:
    """Make ``repo`` one that others may push to: creates only, checked objects."""
    for name, value in SETTINGS.items():
        repo.git("config", name, value)
    hook = Path(repo.path, "hooks", "pre-receive")
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(PRE_RECEIVE)
    hook.chmod(0o755)
