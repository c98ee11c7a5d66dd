"""The assembly of everything that is compiled: the executor, the operations' entries, and elementwise functions."""

import re
from functools import cache

from fastml.kernels.elementwise import FUNCTIONS
from fastml.kernels.operations import OPERATIONS
from fastml.program.linking import compiled_entry, compiled_executor, compiled_function

OURS = "_ZN6fastml", "fastml_"  # starts of the labels of our functions


@cache
def assembly(dtype):
    """The assembly of each operation and function for a dtype, by name; code from the disk could not be inspected."""
    found = {name: compiled_entry(name, dtype)[0].get_asm_str() for name in OPERATIONS}
    return found | {name: compiled_function(name, dtype)[0].get_asm_str() for name in FUNCTIONS}


@cache
def executor_assembly():
    """The assembly of the executor."""
    return compiled_executor()[0].get_asm_str()


def functions(text):
    """The text of each function in an assembly by its label."""
    parts = re.split(r"^([A-Za-z_][\w.$]*):.*$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))
