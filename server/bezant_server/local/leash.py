"""Runs a program that ends when the process which started it does, however that one ends.

    python leash.py PARENT COMMAND [ARGUMENT…]

A supervisor that is killed outright cannot stop its children, so the kernel does it: on Linux the child asks for
SIGKILL at its parent's death before it becomes COMMAND. Elsewhere this only runs the command. It is a program of its
own, because code between fork and exec in a process with threads may deadlock; it imports the standard library only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import NoReturn

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> NoReturn:
    """Become the command, or end with status 1 if the parent is gone already.

    Args:
        arguments: the parent's process id, then the command with an absolute path.
    """
    parent, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606  no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
