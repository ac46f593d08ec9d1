"""Say why the numbers of a draft would be refused by its release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gating.calibration.model import CalibrationRelease
from gating.evaluation.reference_gates import compile_reference
from panels.catalogue import load_panel
from panels.text.errors import ReconflowError
from tasks.calibrate.release import misfit_words

if TYPE_CHECKING:
    from tasks.drafts.draft_file import Draft
    from tasks.study.folder import Study


def why_refused(study: Study, draft: Draft) -> str:
    """Say why a release would refuse the numbers of a draft; empty: it would not.

    The text may follow "It cannot be released:" or "This cannot be kept:".
    What a release asks for beside (reasons, the step of a version) is not asked here.
    """
    release = draft.release
    try:
        if isinstance(release, CalibrationRelease):
            fault = misfit_words(study.folder, release.calibration)
            return f"{fault}." if fault else ""
        strategy = release.strategy
        compile_reference(strategy, load_panel(strategy.panel, study.own_panels))
    except ReconflowError as error:
        return str(error)
    return ""
