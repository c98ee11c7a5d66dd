"""``python -m fastml`` is the command ``fastml``."""

import sys

from fastml.cli import main

sys.exit(main())
