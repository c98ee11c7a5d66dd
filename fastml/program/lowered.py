"""Programs that were lowered before: models of one description share all that training does not change."""

from functools import lru_cache
from types import FunctionType, NoneType

from fastml.layer import Layer
from fastml.loss import Loss
from fastml.optimizer import Optimizer
from fastml.program import linking
from fastml.program.lowering import lower
from fastml.program.plan import WHOLE
from fastml.regularizers import L1L2

MOST, LONG = 64, 1000  # programs that are kept; what a list may hold to be looked through
PARTS = Layer, Loss, Optimizer, L1L2
PLAIN = frozenset((int, float, str, bool, NoneType))  # the usual kinds of values, told soonest
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
    except (Unknown, RecursionError):  # of notes on an optimizer that come back to it
        return lower(*arguments)
    program = _known.pop(key, None) or lower(*arguments)
    linking.link_if_ready(program.training, dtype)
    for oldest in list(_known)[: max(0, len(_known) - MOST + 1)]:
        _known.pop(oldest, None)  # another thread may have done so
    _known[key] = program
    return program._replace(training=program.training.copy())


def description(value):
    """A value to be found by, equal for what is lowered alike; Unknown where it could tell too little."""
    kind = type(value)
    if kind in PLAIN or isinstance(value, (int, float, str)):
        return kind, value or str(value)  # a zero has a sign
    if kind in (FunctionType, type) and f"{value.__module__}.".startswith(("fastml.", "builtins.")):
        return value
    if isinstance(value, (list, tuple)) and len(value) <= LONG:
        return kind, *map(description, value)
    if kind is dict:
        return kind, *map(description, value.items())
    if is_told_by_attributes(kind):
        told = [kind]
        for name, v in vars(value).items():
            if name not in UNIMPORTANT:  # what is most often there is told without another call
                told += (name, (type(v), v or str(v)) if type(v) in PLAIN else description(v))
        return tuple(told)
    raise Unknown


@lru_cache
def is_told_by_attributes(kind):
    """Whether a class is one of what models are made of, and fastml's alone."""
    return issubclass(kind, PARTS) and all(base.__module__.startswith("fastml.") for base in kind.__mro__[:-1])
