"""Wake the watcher earlier where the system tells of changes in a folder.

A hint alone: a share sends no word of what other computers write into it, and without watchfiles
(reconflow[events]) there is none at all. Looking again and again stays the truth.
"""

import threading
from importlib.util import find_spec
from pathlib import Path

LEAST_SECONDS = 1.0


class Arrivals:
    """Changes in a folder and below it since they were last waited for."""

    def __init__(self) -> None:
        self._changed = threading.Event()
        self._listening: threading.Thread | None = None
        self._possible = find_spec("watchfiles") is not None

    def wait(self, folder: Path, least: float, seconds: float, stop: threading.Event) -> None:
        """Wait until something has changed, or until ``stop`` is set.

        That is at least ``least`` seconds, so that a burst does not have it looked at without end,
        and at most ``seconds``.
        """
        if self._possible and not (self._listening and self._listening.is_alive()):
            self._listening = threading.Thread(
                target=self._listen, args=(folder, stop), name="arrivals", daemon=True
            )
            self._listening.start()
        least = min(max(least, LEAST_SECONDS), seconds)
        if stop.wait(least) or not self._changed.wait(seconds - least):
            return
        self._changed.clear()

    def _listen(self, folder: Path, stop: threading.Event) -> None:
        from watchfiles import watch

        try:
            for _ in watch(folder, watch_filter=None, stop_event=stop, raise_interrupt=False):
                self._changed.set()
        except (OSError, RuntimeError):
            # No folder, or the system keeps no more watches: the next wait tries again.
            return
