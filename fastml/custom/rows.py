"""What works on each row of a matrix by itself, with vectors of weights: layers of users, and activations that sum."""

from fastml.custom.derivatives import Differentiation
from fastml.custom.formulas import computed
from fastml.custom.shapes import COLUMNS, ROWS, check_columns, shown
from fastml.custom.tracing import Recorder, traced
from fastml.kernels.custom import layer_operations


def custom_rows(what, function, weights):
    """The Rows of a user's function of x and weights; TypeError or ValueError where it cannot be compiled."""
    recorder = Recorder()
    x = recorder.input(0, (ROWS, COLUMNS))
    vectors = [recorder.input(1 + k, (COLUMNS,)) for k in range(len(weights))]
    a = whole(what, traced(what, function, recorder, x, *vectors))
    da = recorder.input(1 + len(weights), (ROWS, COLUMNS))
    gradients = Differentiation(recorder).gradients(a, da, [x, *vectors])
    return Rows(what, recorder.formula(a), recorder.formula(*gradients), weights, recorder.columns)


def whole(what, result):
    """What a function gives, if that is an output for each input; ValueError otherwise."""
    if isinstance(result, tuple) or result.shape not in ((), (ROWS, COLUMNS)):
        got = "several results" if isinstance(result, tuple) else f"the shape {shown(result.shape)}"
        raise ValueError(f"{what} must give an output for each input, the shape (n, d), got {got}")
    return result


class Rows:
    """A formula a = f(x, weights, …) of rows, and its gradient: dx, and what each row adds to that of each vector.

    weights : the names of vectors (d,). columns : how many x must have at least.
    """

    def __init__(self, what, value, slope, weights, columns):
        self.what, self.value, self.slope, self.weights, self.columns = what, value, slope, weights, columns

    def operations(self):
        """The name of the operations forward and backward, without these words."""
        name = f"custom_{self.value.digest}{self.slope.digest}"
        layer_operations(name, self.value, self.slope, len(self.weights), self.forward, self.backward)
        return name

    def forward(self, x, a, **weights):
        """The operation in NumPy."""
        a[...] = computed(self.value, self.arrays(x, weights))[0]

    def backward(self, x, da, dx, **weights):
        """The operation in NumPy."""
        results = dx, *(weights.pop(f"dw{k}") for k in range(len(self.weights)))
        arrays = self.arrays(x, weights) | {len(self.weights) + 1: da}
        for array, value in zip(results, computed(self.slope, arrays), strict=True):
            array[...] = value

    def arrays(self, x, weights):
        return dict(enumerate([x, *(weights[f"w{k}"][None] for k in range(len(self.weights)))]))

    def lower(self, to, x, d_in, trainable):
        """Emits the instructions; see `Layer.lower`."""
        check_columns(self.what, self.columns, d_in)
        name, places = self.operations(), [to.place(w) for w in self.weights]
        vectors = {f"w{k}": place for k, place in enumerate(places)}
        to.keep(x)
        a = to.rows(d_in) if x in to.kept else x
        to.emit(f"{name}_forward", x=x, a=a, d_in=d_in, **vectors)

        def backward(da, inputs):
            terms = {f"d{w}": to.rows(d_in) for w in vectors}
            dx = to.rows(d_in)
            to.emit(f"{name}_backward", x=x, da=da, dx=dx, d_in=d_in, **vectors, **terms)
            if trainable:
                for W, place in zip(places, terms.values(), strict=True):
                    to.sum_vector(place, W, d_in)
            return dx

        return a, backward


def vectors(what, arrays, d_in):
    """The names of weights, if each is a vector with an element for each column; ValueError otherwise."""
    for array in arrays:
        if tuple(array.shape) != (d_in,):
            raise ValueError(f"{what}: weights must be vectors (d_in,), here ({d_in},), got {array.name} {array.shape}")
    return [array.name for array in arrays]
