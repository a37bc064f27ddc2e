"""A patch is recognised as git's own diff in a few spellings, and never where it could apply differently."""

from __future__ import annotations

import pytest

from patchrun.core.samepatch import is_same_patch

IDS = b"index 5626abf0f72e58d7a153368ba57db4c673c0e171..f719efd430d52bcfc8566a43b2eb655688d38871 100644\n"
MADE = b"""\
diff --git a/a.py b/a.py
%s--- a/a.py
+++ b/a.py
@@ -1,3 +1,3 @@
 one
-two
+zwei
 three
@@ -10,2 +10,2 @@ def main():
 x
-y
+index 5626abf..f719efd 100644
diff --git a/new.py b/new.py
new file mode 100644
index 0000000000000000000000000000000000000000..e69de29bb2d1d6434b8b29ae775ad8c2e48c5391
""" % IDS  # fmt: skip
NEW = b"index 0000000000000000000000000000000000000000..e69de29bb2d1d6434b8b29ae775ad8c2e48c5391\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"", b""),
        (IDS, b""),
        (NEW, b""),
        (IDS, b"index 5626abf..f719efd 100644\n"),
        (IDS, b"index 5626abf..f719efd\n"),
        (IDS, b"index 0000000..1111111 100644\n"),  # git apply does not read them of text
        (b" @@ def main():", b" @@"),
        (b" @@ def main():", b" @@ class Other: @@ -1,1 +1,1 @@"),
        (b"+1,3 @@\n", b"+1,3 @@ def more():\n"),
    ],
)
def test_words_that_do_not_matter_may_differ(old: bytes, new: bytes) -> None:
    assert is_same_patch(MADE.replace(old, new, 1) if old else MADE, MADE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"+zwei", b"+drei"),
        (b" one", b" One"),
        (b"a/a.py b/a.py", b"a/b.py b/b.py"),
        (b"+++ b/a.py", b"+++ b/b.py"),
        (b"-1,3 +1,3", b"-2,3 +1,3"),
        (b"-1,3 +1,3", b"-1,3 +2,3"),
        (b"+1,3 @@", b"+1,3 @@x"),
        (b"+1,3 @@\n", b"+1,3\n"),
        (b"1 100644\n--- a/a.py", b"1 100755\n--- a/a.py"),
        (b"1 100644\n--- a/a.py", b"1 120000\n--- a/a.py"),
        (b"1 100644\n--- a/a.py", b"1 100644 \n--- a/a.py"),
        (IDS, IDS + IDS),
        (b"--- a/a.py\n", IDS + b"--- a/a.py\n"),
        (b" one\n", b" one\n" + IDS),
        (b"+index 5626abf..f719efd 100644\n", b""),
        (b"+index 5626abf..f719efd 100644\n", b"index 5626abf..f719efd 100644\n"),
        (b"new file mode 100644", b"new file mode 100755"),
        (b"diff --git a/a.py", b"Subject: a mail\n\ndiff --git a/a.py"),
        (b" three\n", b" three\r\n"),
        (b" three\n", b""),
        (b" three\n", b" three\n\n"),
        (NEW, NEW + b"\n"),
        (NEW, NEW + b"diff --git a/b.py b/b.py\ndeleted file mode 100644\n"),
        (NEW, NEW[:-1]),
        (MADE, b""),
    ],
)
def test_whatever_could_apply_differently_is_not_recognised(old: bytes, new: bytes) -> None:
    assert old in MADE and not is_same_patch(MADE.replace(old, new, 1), MADE)


def test_a_carriage_return_ends_no_line() -> None:
    """Else what stands behind it could pass for a header, which may be left out."""
    made = MADE.replace(b"+zwei\n", b"+zwei\r" + IDS)
    assert is_same_patch(made, made) and not is_same_patch(made.replace(b"\r" + IDS, b"\n", 1), made)


@pytest.mark.parametrize(
    "made",
    [
        b"",
        b"diff --git a/m.bin b/m.bin\nindex 1234567..89abcde 100644\nBinary files a/m.bin and b/m.bin differ\n",
        b"diff --git a/m.bin b/m.bin\nindex 1234567..89abcde 100644\nGIT binary patch\nliteral 1\nIcmZ\n\n",
        b"diff --git a/l b/l\nnew file mode 120000\nindex 0000000..89abcde\n--- /dev/null\n+++ b/l\n"
        b"@@ -0,0 +1 @@\n+target\n\\ No newline at end of file\n",
        b"diff --git a/l b/l\nindex 1234567..89abcde 120000\n--- a/l\n+++ b/l\n@@ -1 +1 @@\n-a\n+b\n",
        b"diff --git a/s b/s\nindex 1234567..89abcde 160000\n--- a/s\n+++ b/s\n@@ -1 +1 @@\n-Subproject commit 1\n",
    ],
    ids=("nothing", "binary", "binary with content", "new link", "link", "submodule"),
)
def test_only_plain_text_is_recognised(made: bytes) -> None:
    assert not is_same_patch(made, made)


def test_modes_and_files_without_a_last_newline() -> None:
    made = (
        b"diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\nindex 1234567..89abcde\n--- a/run.sh\n"
        b"+++ b/run.sh\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n"
    )
    assert is_same_patch(made, made)
    assert not is_same_patch(made.replace(b"new mode 100755\n", b""), made)
    assert not is_same_patch(made.replace(b"\\ No newline at end of file\n", b""), made)
