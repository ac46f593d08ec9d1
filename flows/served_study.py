"""Bind what a server runs and shows to one study, whatever the parameters of a run say."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from panels.text.errors import UsageFault
from tasks.steps.one_pass import study_folder
from tasks.study.folder import Study

SERVED = "RECONFLOW_SERVED_STUDY"
"""Environment variable with the one study that this process and its children may run."""


@contextmanager
def serving(study: Path) -> Iterator[None]:
    """Let this process and its children run no other study for the block."""
    os.environ[SERVED] = str(study)
    try:
        yield
    finally:
        del os.environ[SERVED]


def served_study(study: str) -> Path:
    """Read the study a run was started for; raises UsageFault where it is not the one served here.

    Whoever can call the server can start a run with parameters of their choice.
    """
    folder, served = study_folder(study), os.environ.get(SERVED)
    if served and folder != study_folder(served):
        message = (
            f"This deployment runs the study in {served} and no other; the run was started for"
            f" {folder}. Use the deployment of that study, or `reconflow run --study {folder}`."
        )
        raise UsageFault(message)
    return folder


def deployment_name(study: Study) -> str:
    """Name a study's deployment, by the study and its folder.

    On the server of a site one study must not take the night of another, or of its own copy.
    """
    words = re.sub(r"[^\w.-]+", "-", study.settings.study).strip("-")[:60]
    return f"{words}-{hashlib.sha256(str(study.folder).encode()).hexdigest()[:6]}".lstrip("-")
