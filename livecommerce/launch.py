"""Run a command that dies with its parent: ``python -I -S launch.py <parent pid> <command> [argument …]``.

A small program of its own, started by path, because the parent-death signal has to be set in the child between fork
and exec, and Python code is not safe there once the parent has threads. It imports nothing of ours (10 ms).

The kernel sends the signal when the parent's *thread* that forked ends (prctl(2)): start children from the main thread.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for SIGKILL at the parent's death, then become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
        # Had the parent died before the line above, no signal would ever come.
        if os.getppid() != parent:
            sys.exit("the parent is gone")
    os.execv(command[0], command)  # noqa: S606 - the command is the supervisor's own, and there is no shell


if __name__ == "__main__":
    main()
