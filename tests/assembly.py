"""The executor's assembly, in parts."""

import re
from functools import cache

import numpy as np

from fastml.compiled import ZEROS
from fastml.kernels.executor import build_executor
from fastml.kernels.instruction import JOB


@cache
def executor_code(dtype):
    """Assembly of the executor for a dtype, with all that it calls; code from the disk could not be inspected."""
    run = build_executor()
    job = np.zeros(1, JOB)
    run(job.ctypes.data, 0, ZEROS[dtype])
    (assembly,) = run.inspect_asm().values()
    return assembly


def functions(assembly):
    """The text of each function by its label."""
    parts = re.split(r"^([A-Za-z_][\w.$]*):.*$", assembly, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))
