#!/usr/bin/env python3
"""Inside an agent's sandbox: ask patchrun, which is outside, to validate the workspace or to try it.

patchrun validate        what the validator finds
patchrun try K           the loss lines of the first K steps
"""

import os
import socket
import sys


def main():
    words = sys.argv[1:]
    if words != ["validate"] and not (len(words) == 2 and words[0] == "try" and words[1].isdecimal()):
        sys.exit(__doc__)
    os.chdir(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - as the socket's short name
    with socket.socket(socket.AF_UNIX) as desk:
        desk.connect("desk")
        desk.sendall(" ".join(words).encode() + b"\n")
        while data := desk.recv(1 << 16):
            sys.stdout.buffer.write(data)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
