"""The machine code of the executor: what a step must not hold."""

import re

from assembly import executor_code, functions


def test_a_step_allocates_nothing_and_counts_no_references():
    """Threads would fight over a shared count, and an allocation costs more than a small layer."""
    ours = {
        label: text
        for label, text in functions(executor_code("float32")).items()
        if re.match("_ZN6fastml|fastml_", label)
    }
    assert any("build_executor" in label for label in ours) and any("sweep" in label for label in ours)
    for text in ours.values():
        assert re.findall(r"\$NRT_\w+|call\w*\s+NRT_\w+", text) == []  # Numba's runtime: memory and its counts
