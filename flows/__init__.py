"""Order the steps of the pipeline, and offer them as commands and Prefect flows."""

import os

# Work is spread over processes already. The threads of a linear-algebra library then only wait for
# each other: with two of them a fit of five parameters takes five times the processor time. The
# libraries read this at their import, and worker processes inherit it.
for _library in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_library, "1")
