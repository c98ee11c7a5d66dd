"""What the documents show runs as it stands there."""

import doctest
import re
from pathlib import Path

import fastml.sequential


def test_the_example_of_the_readme(capsys):
    text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(code, names := {})
    assert names["accuracy"] > 0.9
    assert "the first one is a 0" in capsys.readouterr().out


def test_the_example_of_sequential():
    result = doctest.testmod(fastml.sequential)
    assert result.attempted > 0 and result.failed == 0
