"""What the documents show runs as it stands there."""

import doctest
import re
from pathlib import Path

import fastml.sequential


def test_the_examples_of_the_readme(capsys):
    text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    first, second = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(first, names := {})
    assert names["accuracy"] > 0.9
    assert "the first one is a 0" in capsys.readouterr().out
    exec(second, names := {})
    assert max(names["model"].history.history["val_accuracy"]) > 0.9
    check = capsys.readouterr().out
    assert "gradient check of" in check and "complex step" in check


def test_the_example_of_sequential():
    result = doctest.testmod(fastml.sequential)
    assert result.attempted > 0 and result.failed == 0
