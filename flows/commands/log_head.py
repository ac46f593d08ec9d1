"""Note outside the database how far the log of decisions goes, after a command that wrote to it."""

import sys
from pathlib import Path

from flows.commands.study_given import SETTINGS
from panels.text.errors import ReconflowError


def note_log_head(folder: Path) -> None:
    """Add a line to results/audit-head.txt; says on stderr what is wrong with the log.

    What was decided is kept already: where the line cannot be written now, that is said, and the
    next run writes it. A folder without study.yaml has no log.
    """
    from tasks.review.audit_trail import HEADS, keep_head
    from tasks.study.folder import open_study

    if not (folder / SETTINGS).is_file():
        return
    try:
        study = open_study(folder)
        with study.store() as store:
            said = keep_head(study, store)
    except (ReconflowError, OSError) as error:
        said = (f"{HEADS} cannot be written now ({error}) The next run adds its line.",)
    for sentence in said:
        sys.stderr.write(f"reconflow: {sentence}\n")
