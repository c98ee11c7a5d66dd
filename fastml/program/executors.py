"""The executors by their names, functions of the same arguments: see `fastml.program.compiled.run`."""

from fastml.program import compiled, reference

EXECUTORS = {"compiled": compiled.run, "numpy": reference.run}
