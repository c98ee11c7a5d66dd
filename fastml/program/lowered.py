"""Programs that were lowered before: models of one description share all that training does not change."""

from functools import cache
from types import FunctionType

from fastml.program.lowering import lower
from fastml.program.plan import WHOLE

MOST = 64  # programs that are kept
UNIMPORTANT = frozenset(  # attributes that no instruction depends on
    ("_name", "_label", "_models", "_kept_parts", "learning_rate")
)

_known = {}  # Programs by what they were lowered from


class Unknown(Exception):
    """There is something that only a lowering can tell about, such as a class or function of the user's."""


def lowered(layers, d_in, batch, dtype, loss=None, metrics=(), optimizer=None, weighted=False, height=None, plan=WHOLE):
    """What `lower` gives for these arguments, as if anew: its training instructions may be written to."""
    arguments = layers, d_in, batch, dtype, loss, metrics, optimizer, weighted, height, plan
    try:
        key = description(arguments)
    except Unknown:
        return lower(*arguments)
    program = _known.get(key)
    if program is None:
        program = lower(*arguments)
        while len(_known) >= MOST:
            _known.pop(next(iter(_known)), None)
        _known[key] = program
    return program._replace(training=program.training.copy())


def description(value):
    """A value to be found by, equal for what is lowered alike; Unknown where it could tell too little."""
    kind = type(value)
    if value is None or isinstance(value, (int, float, str)):
        return kind, value if value else str(value)  # a zero has a sign
    if kind in (FunctionType, type) and (value.__module__ or "").startswith(("fastml.", "builtins")):
        return value
    if isinstance(value, (list, tuple)):
        return kind, *map(description, value)
    if kind is dict:
        return kind, *map(description, value.items())
    if is_told_by_attributes(kind):
        return kind, *((name, description(v)) for name, v in vars(value).items() if name not in UNIMPORTANT)
    raise Unknown


@cache
def is_told_by_attributes(kind):
    """Whether a class is fastml's alone, and all that its objects are is in their attributes."""
    bases = kind.__mro__[:-1]
    return all(base.__module__.startswith("fastml.") and not hasattr(base, "__slots__") for base in bases)
