"""Ask folders whether they answer, by a small process that may hang in place of this one."""

import os
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

_PROBE = """
import os, sys
for line in sys.stdin.buffer:
    try:
        folder = bytes.fromhex(line.decode())
        os.stat(folder)
        # Not answered from what this computer remembers of the share.
        os.statvfs(folder)
    except OSError:
        pass
    os.write(1, b".")
"""


class Probe:
    """The process that asks; begun with the first question, and again when it was ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, folder: Path) -> bool:
        """Ask a folder; tells whether there is a process to ask. Every answer is to be awaited."""
        try:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _PROBE],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,
                )
            assert self._process.stdin is not None
            self._process.stdin.write(os.fsencode(folder).hex().encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            self.end()
            return False
        return True

    def answer(self, seconds: float) -> bool | None:
        """Wait for the answer: True when it came, whatever it was, None when it did not yet.

        False where there is none to wait for: the process has ended.
        """
        if self._process is None:
            return False
        assert self._process.stdout is not None
        answers = self._process.stdout.fileno()
        if not select.select([answers], [], [], seconds)[0]:
            return None
        if os.read(answers, 1):
            return True
        self.end()
        return False

    def end(self) -> None:
        """End the process, which is not waited for: it may hang itself."""
        process, self._process = self._process, None
        if process:
            process.kill()
            with suppress(OSError, subprocess.TimeoutExpired):
                process.communicate(timeout=1)
