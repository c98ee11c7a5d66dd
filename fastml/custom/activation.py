"""Activation functions of users: f(z), elementwise, or over the columns of each row."""

from fastml.custom import called
from fastml.custom.derivatives import derivative
from fastml.custom.formulas import computed
from fastml.custom.rows import custom_rows, whole
from fastml.custom.shapes import COLUMNS, ROWS
from fastml.custom.tracing import Recorder, traced
from fastml.kernels.elementwise import CUSTOM, function
from fastml.kernels.formulas import elementwise_of


class CustomActivation:
    """An activation like those of `fastml.activations.ACTIVATIONS`.

    f : function of an array z : (n, d) that gives a : (n, d). slope : function of z that gives f′(z) for an elementwise
    f, where it is not to be derived. TypeError or ValueError where one cannot be compiled.
    """

    alpha = None
    keeps_z = True

    def __init__(self, f, slope=None):
        self.name, what, recorder = called(f), f"activation '{called(f)}'", Recorder()
        z, da = (recorder.input(k, (ROWS, COLUMNS)) for k in range(2))
        a = whole(what, traced(what, f, recorder, z))
        self.rows = None
        if recorder.formula(a).reduces:
            if slope is not None:
                raise ValueError(f"{what}: a derivative is for elementwise functions, but this one sums over columns")
            self.rows = custom_rows(what, f, [])
            return
        what = f"derivative '{called(slope)}' of {what}"
        found = derivative(a, z) if slope is None else whole(what, traced(what, slope, recorder, z))
        self.value, self.slope = recorder.formula(a), recorder.formula(da * found)
        if self.slope.reduces:
            raise ValueError(f"{what} must be elementwise")

    def forward(self, z, alpha=None):
        """a, in NumPy."""
        return computed(self.value, {0: z})[0]

    def backward(self, z, a, da, alpha=None):
        """dz, in NumPy."""
        return computed(self.slope, {0: z, 1: da})[0]

    def functions(self):
        """What instructions call f and its slope."""
        names = f"custom_{self.value.digest}", f"custom_{self.slope.digest}_slope"
        for name, formula in zip(names, (self.value, self.slope), strict=True):
            if name not in CUSTOM:
                function(name, elementwise_of(formula), CUSTOM, twin_of(formula))
        return names


def twin_of(formula):
    """The function of the reference."""
    return lambda u, v: computed(formula, {0: u, 1: v})[0]
