"""Operations made of formulas: the losses, layers and updates that users bring.

Each is named by the digest of its formulas, so that equal ones are one operation, and compiled code is found again.
"""

from llvmlite import ir
from numba import njit

from fastml.kernels.formulas import VECTORS, RowFormula
from fastml.kernels.operands import Column, GradientPart, Number, OfSlice, Part, Rows, StatePart, Weights
from fastml.kernels.operation import CUSTOM, register
from fastml.kernels.simd import Vec, elementwise, splat
from fastml.kernels.sweeps import rowwise


def custom(name, lines, scope, operands, twin):
    """The name of an operation whose kernel has these lines; `twin` is what the reference runs."""
    if name not in CUSTOM:
        source = "\n    ".join([f"def {name}({', '.join(operands)}):", *lines])
        exec(source, scope := {"__name__": __name__, **scope})
        kernel = njit(inline="always", error_model="numpy")(scope[name])
        register(name, kernel, CUSTOM, twin, **operands)
    return name


def loss_operations(name, value, slope, forward, backward):
    """The operations of a loss: value(a, y) -> loss of a row, slope(a, y) -> gradient of the mean over rows.

    Both may also take "d", the number of outputs, and the slope "scale", 1 / rows of the batch.
    """
    outputs, targets = Rows("d_out"), Rows("d_y")
    values = rowwise(RowFormula(value, {"d": 0}, [("vector", 0)]))
    slopes = rowwise(RowFormula(slope, {"d": 0, "scale": 1}, [("matrix", 2)]))
    copy = elementwise(lambda z: z)
    custom(
        f"{name}_forward",
        ["values((z, y), (losses,), (z.dtype.type(z.shape[1]),))", "copy((z,), (a,), ())"],
        {"values": values, "copy": copy},
        {"z": outputs, "y": targets, "a": outputs, "terms": outputs, "losses": Column()},
        forward,
    )
    custom(
        f"{name}_backward",
        ["real = a.dtype.type", "slopes((a, y, dz), (), (real(a.shape[1]), real(1.0 / n)))"],
        {"slopes": slopes},
        {"n": OfSlice("n"), "a": outputs, "y": targets, "dz": outputs},
        backward,
    )


def layer_operations(name, value, slope, count, forward, backward):
    """The operations of a layer with `count` vectors of weights.

    value(x, weights, …) -> a, slope(x, weights, …, da) -> dx and what each row adds to the gradient of each vector;
    both may also take "d", the number of columns.
    """
    rows, weights = Rows("d_in"), [f"w{k}" for k in range(count)]
    vectors, terms = {w: Weights("d_in") for w in weights}, {f"d{w}": rows for w in weights}
    inside, named = {"d": 0}, "".join(f"{w}, " for w in weights)
    flat = tuple(range(1, count + 1))
    values = rowwise(RowFormula(value, inside, [("matrix", count + 1)]), flat)
    places = [("matrix", count + 2 + k) for k in range(count + 1)]
    slopes = rowwise(RowFormula(slope, inside, places), flat)
    custom(
        f"{name}_forward",
        [f"values((x, {named}a), (), (x.dtype.type(x.shape[1]),))"],
        {"values": values},
        {"x": rows, **vectors, "a": rows},
        forward,
    )
    custom(
        f"{name}_backward",
        [f"slopes((x, {named}da, dx, {''.join(f'{t}, ' for t in terms)}), (), (x.dtype.type(x.shape[1]),))"],
        {"slopes": slopes},
        {"x": rows, **vectors, "da": rows, "dx": rows, **terms},
        backward,
    )


def update_operation(name, step, states, constants, twin):
    """The operation of an update: step(W, dW, states, …, learning_rate, t, constants, …) -> W and states.

    Numbers are computed in double precision, however many steps they take.
    """
    arrays = {"W": Part(), "dW": GradientPart()} | {f"state_{k}": StatePart(k) for k in range(states)}
    numbers = {"learning_rate": OfSlice("rate"), "t": OfSlice("t")} | {name: Number() for name in constants}

    def formula(*operands):
        *vectors, scalars = operands
        real, width = vectors[0].real, vectors[0].value.type.count
        return tuple(mixed(step, vectors, scalars, real, width))

    run = elementwise(formula, as_they_are)
    inputs = ", ".join(arrays)
    outputs = ", ".join(["W", *[f"state_{k}" for k in range(states)]])
    scalars = "".join(f"float({number}), " for number in numbers)
    return custom(name, [f"run(({inputs},), ({outputs},), ({scalars}))"], {"run": run}, arrays | numbers, twin)


def as_they_are(builder, scalars, width):
    """Scalars for `elementwise` as one argument: vectors of a single number each, of the type that they have."""
    return [[Vec(builder, splat(builder, scalar, 1).value) for scalar in scalars]]


def mixed(formula, vectors, scalars, real, width):
    """The results of a formula whose inputs are vectors, and behind these numbers in double precision."""
    builder, values = vectors[0].builder, []

    def wide(vec):
        if vec.value.type.count == width and vec.real == real and width > 1:
            return vec
        number = builder.extract_element(vec.value, ir.IntType(32)(0))
        number = builder.fptrunc(number, real) if vec.real != real else number
        return splat(builder, number, width)

    for step in formula.steps:
        if step.op == "input":
            values.append([*vectors, *scalars][step.args[0]])
        elif step.op == "constant":
            values.append(scalars[0].constant(step.args[0]))
        else:
            found = [values[k] for k in step.args]
            values.append(VECTORS[step.op](*(map(wide, found) if step.axes else found)))
    return [wide(values[k]) for k in formula.outputs]
