"""The seed of tests that draw their cases anew in each run: FASTML_TEST_SEED=n repeats the run that had it."""

import os
import secrets

VARIABLE = "FASTML_TEST_SEED"
SEED = int(os.environ.setdefault(VARIABLE, str(secrets.randbits(32))))  # the same in processes that tests start
REPEAT = f"{VARIABLE}={SEED}"
