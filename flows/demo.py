"""Make a simulated study and run the real pipeline over it."""

from pathlib import Path
from typing import Any

from flows.progress import progress_shown, track
from flows.server.start import starting_server
from panels.text.errors import UsageFault


def demo(
    folder: Path, *, patients: int = 2, visits: int = 12, seed: int = 1, quiet: bool = False
) -> dict[str, Any]:
    """Simulate a study in ``folder``, run the pipeline over it and give the summary of the run.

    A demo that is there already is not simulated again. The server starts while the tubes are
    being made. Raises UsageFault when the folder holds something else.
    """
    from tasks.simulate.study import SETTINGS, is_complete, write_study
    from tasks.study.starter import PINS

    if folder.exists() and any(folder.iterdir()) and not is_complete(folder):
        raise UsageFault(
            f"{folder} is not empty and holds no finished demo. Remove it, or name another "
            f"folder: reconflow demo DIR."
        )
    with progress_shown(quiet=quiet), starting_server() as server:
        if not is_complete(folder):
            advance = track("simulating tubes")
            settings = SETTINGS + PINS
            write_study(
                folder,
                patients=patients,
                visits=visits,
                seed=seed,
                settings=settings,
                progress=lambda _file, done, total: advance(done, total),
            )
        with server.ready():
            from flows.nightly import nightly

            return nightly(str(folder.resolve()))
