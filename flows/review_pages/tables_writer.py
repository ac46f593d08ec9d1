"""Write the tables of patients after decisions, one by one, while people go on reading."""

from __future__ import annotations

import queue
import sys
import threading

from panels.text.errors import ReconflowError
from panels.text.quoting import unexpected
from tasks.results.rebuild import rebuild_tables
from tasks.study.folder import Study


class TablesWriter:
    """A thread that writes the tables of the patients whom a decision changed.

    A patient who waits already is written once. What fails is left to the next pass, which finds
    the tables due.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._patients: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._waiting: set[str] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def write(self, patient: str) -> None:
        """Have the tables of a patient written soon."""
        with self._lock:
            if patient in self._waiting:
                return
            self._waiting.add(patient)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="tables", daemon=True)
                self._thread.start()
        self._patients.put(patient)

    def _work(self) -> None:
        while True:
            patient = self._patients.get()
            with self._lock:
                self._waiting.discard(patient)
            try:
                rebuild_tables(self._study, patient)
            except Exception as error:  # noqa: BLE001 - the thread has to outlive any one patient
                sys.stderr.write(
                    f"reconflow: The decision is kept. The tables of {patient} wait for the next "
                    f"run: {_said(error)}\n"
                )


def _said(error: Exception) -> str:
    known = isinstance(error, ReconflowError | OSError)
    return str(error) if known else f"unexpected {unexpected(error)}"
