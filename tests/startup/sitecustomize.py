"""Python imports this where it finds it on its path when it starts: processes of the tests have as many threads."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
try:
    import many_threads  # noqa: F401
except ImportError:  # a process without fastml
    pass
sys.path.pop()
