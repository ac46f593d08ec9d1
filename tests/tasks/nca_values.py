"""Read the parameters of a non-compartmental analysis as numbers alone."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tasks.kinetics.areas import USUAL
from tasks.kinetics.nca import analyse
from tasks.kinetics.nca_rules import NcaRules
from tasks.kinetics.rounding import Numbers
from tasks.kinetics.sample_series import series
from tasks.vocabulary.reasons import Why


def nca(
    time: Sequence[float] | Numbers,
    conc: Sequence[float] | Numbers,
    blq: Sequence[bool] | npt.NDArray[np.bool_],
    rules: NcaRules = USUAL,
) -> dict[str, float | None]:
    """Compute the parameters of one series; ``None`` is "not estimable", never 0."""
    parameters = analyse(series(time, conc, blq, rules))
    return {name: None if isinstance(value, Why) else value for name, value in parameters.items()}
