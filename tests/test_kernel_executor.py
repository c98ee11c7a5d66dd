"""The machine code of the executor: what a step must not hold."""

import re

from assembly import OURS, assembly, executor_assembly, functions


def test_a_step_allocates_nothing_and_counts_no_references():
    """Threads would fight over a shared count, and an allocation costs more than a small layer."""
    everything = [executor_assembly(), *assembly("float32").values()]
    ours = {label: text for part in everything for label, text in functions(part).items() if label.startswith(OURS)}
    assert any("run_job" in label for label in ours) and any("sweep" in label for label in ours)
    assert sum("adam_update" in label for label in ours)
    for text in ours.values():
        assert re.findall(r"\$NRT_\w+|call\w*\s+NRT_\w+", text) == []  # Numba's runtime: memory and its counts
