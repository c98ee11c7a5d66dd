"""Oracles in Python's own numbers: what optimizers, schedules and penalties do to a model of three parameters.

The model is w₁·x₁ + w₂·x₂ + b with the mean squared error, on four points. Of fastml nothing but the names of classes
takes part: the formulas are those of the papers, and moving averages are written as sums over the whole history.
"""

import math

from fastml import (
    SGD,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    CosineDecay,
    CosineLog,
    ExponentialDecay,
    OneCycle,
    PiecewiseConstantDecay,
    RMSprop,
    Rprop,
    StepDecay,
)

POINTS = [(1.0, 0.5), (-0.5, 1.5), (2.0, -1.0), (0.25, 0.75)]
TARGETS = [1.0, -2.0, 0.5, 3.0]
START = [0.5, 0.0, -0.25]  # w₁, w₂ (at the kink of |w|) and b
STEPS = 20
BY_NAME = {"l1": (0.01, 0.0), "l2": (0.0, 0.01), "l1_l2": (0.01, 0.01)}


def sign(value):
    return (value > 0) - (value < 0)


# The oracles: `move(memory, w, g, rate, loss, options)` gives w after a step, memory is a dict of each parameter's own


def sgd(memory, w, g, rate, loss, momentum=0.0):
    """Polyak: w(t+1) = w(t) - rate·Σᵢ momentum^(t-i)·g(i)."""
    memory.setdefault("g", []).append(g)
    return w - rate * math.fsum(momentum**age * old for age, old in enumerate(reversed(memory["g"])))


def sutskever(memory, w, g, rate, loss, momentum, nesterov):
    """θ + v with v = momentum·v - rate·∇f(θ + momentum·v); the model's w is the point θ + momentum·v."""
    v = memory.get("v", 0.0)
    theta = w - momentum * v
    memory["v"] = v = momentum * v - rate * g
    return theta + v + momentum * v


def nesterov_with_rate_outside(memory, w, g, rate, loss, momentum, nesterov):
    """For rates that change: each step of momentum's is followed by its next one, but for the gradient to come."""
    memory["b"] = b = momentum * memory.get("b", 0.0) + g
    return w - rate * (g + momentum * b)


def moving_average(values, beta):
    """(1 - β)·Σᵢ βᵗ⁻ⁱ·valueᵢ, from a start at 0."""
    return (1 - beta) * math.fsum(beta**age * value for age, value in enumerate(reversed(values)))


def adam(memory, w, g, rate, loss, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """Kingma & Ba, algorithm 1, with equation 4 for the moments."""
    history = memory.setdefault("g", [])
    history.append(g)
    t = len(history)
    m_hat = moving_average(history, beta_1) / (1 - beta_1**t)
    v_hat = moving_average([value**2 for value in history], beta_2) / (1 - beta_2**t)
    return w - rate * m_hat / (math.sqrt(v_hat) + epsilon)


def adamax(memory, w, g, rate, loss, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """Kingma & Ba, algorithm 2, with the infinity norm over the whole past, and epsilon in each of its terms."""
    history = memory.setdefault("g", [])
    history.append(g)
    m_hat = moving_average(history, beta_1) / (1 - beta_1 ** len(history))
    u = max(beta_2**age * (abs(value) + epsilon) for age, value in enumerate(reversed(history)))
    return w - rate * m_hat / u


def rmsprop(memory, w, g, rate, loss, rho=0.9, epsilon=1e-8):
    """Tieleman & Hinton, lecture 6e."""
    memory.setdefault("squares", []).append(g**2)
    return w - rate * g / (math.sqrt(moving_average(memory["squares"], rho)) + epsilon)


def adagrad(memory, w, g, rate, loss, initial_accumulator_value=0.0, epsilon=1e-10):
    """Duchi et al., with a diagonal matrix."""
    memory.setdefault("squares", [initial_accumulator_value]).append(g**2)
    return w - rate * g / (math.sqrt(math.fsum(memory["squares"])) + epsilon)


def rprop(
    memory,
    w,
    g,
    rate,
    loss,
    initial_step=0.01,
    eta_minus=0.5,
    eta_plus=1.2,
    step_min=1e-6,
    step_max=50.0,
    backtrack=False,
):
    """Igel & Hüsken: iRprop-, or iRprop+ with `backtrack`. `events` tells which branches were taken."""
    events, step = memory.setdefault("events", set()), memory.get("step", initial_step)
    product = g * memory.get("g", 0.0)
    if product > 0:
        events.add("longest" if step * eta_plus > step_max else "longer")
        step = min(step * eta_plus, step_max)
    elif product < 0:
        events.add("shortest" if step * eta_minus < step_min else "shorter")
        step = max(step * eta_minus, step_min)
        if backtrack:
            worse = loss > memory["loss"]
            events.add("worse" if worse else "better")
            w -= memory["move"] * worse
        g = 0.0
    move = -sign(g) * step
    memory.update(g=g, step=step, move=move, loss=loss)
    return w + move


# The learning rates of updates number t = 0, 1, … of `steps`


def constant(t, steps, learning_rate):
    return learning_rate


def exponential(t, steps, learning_rate, decay_steps, decay_rate=0.96, staircase=False):
    return learning_rate * math.exp(math.log(decay_rate) * (t // decay_steps if staircase else t / decay_steps))


def stairs(t, steps, learning_rate, decay_steps, decay_rate=0.1):
    for _ in range(t // decay_steps):
        learning_rate *= decay_rate
    return learning_rate


def cosine(t, steps, learning_rate, warmup_steps=0, final=0.0):
    """The warm-up is a straight line that would be 0 one update before the first."""
    if t < warmup_steps:
        return learning_rate * (t + 1) / (warmup_steps + 1)
    if t >= steps:
        return final
    return final + (learning_rate - final) * math.cos(math.pi / 2 * (t - warmup_steps) / (steps - warmup_steps)) ** 2


def one_cycle(t, steps, learning_rate, warmup=0.3, div_factor=25.0, final_div_factor=1e4):
    """Between three points, (0, start), (top, learning_rate) and (steps - 1, end), by halves of a cosine."""
    top, start = warmup * steps - 1, learning_rate / div_factor
    if t <= top:
        return start + (learning_rate - start) * math.sin(math.pi / 2 * t / top) ** 2
    end = start / final_div_factor
    if t >= steps - 1:
        return end
    return end + (learning_rate - end) * math.cos(math.pi / 2 * (t - max(top, 0)) / (steps - 1 - max(top, 0))) ** 2


def cosine_log(t, steps, learning_rate, cycles=4, final=0.0):
    """The k-th cycle goes from the share (2ᵏ - 1) / (2^cycles - 1) to the next."""
    share = min(1.0, t / steps) * (2**cycles - 1) + 1
    within = math.log2(share) % 1
    return final + (learning_rate - final) * math.sin(math.pi * within) ** 2


def pieces(t, steps, boundaries, values):
    return next((value for bound, value in zip(boundaries, values, strict=False) if t <= bound), values[-1])


RATES = {
    StepDecay: stairs,
    ExponentialDecay: exponential,
    CosineDecay: cosine,
    OneCycle: one_cycle,
    CosineLog: cosine_log,
    PiecewiseConstantDecay: pieces,
}
MOVES = {SGD: sgd, Adam: adam, AdamW: adam, Adamax: adamax, RMSprop: rmsprop, Adagrad: adagrad, Rprop: rprop}


def strengths(regularizer):
    """(l1, l2) of a penalty."""
    if regularizer is None:
        return 0.0, 0.0
    return BY_NAME[regularizer] if isinstance(regularizer, str) else (regularizer.l1, regularizer.l2)


def slopes(w, rows, penalties):
    """Loss and gradient on these rows, with penalties (l1, l2) of each parameter."""
    inputs = [(*POINTS[row], 1.0) for row in rows]
    errors = [
        math.fsum(a * b for a, b in zip(w, x, strict=True)) - TARGETS[r] for r, x in zip(rows, inputs, strict=True)
    ]
    loss = math.fsum(e**2 for e in errors) / len(rows)
    loss += math.fsum(l1 * abs(v) + l2 * v**2 for v, (l1, l2) in zip(w, penalties, strict=True))
    gradient = [2 * math.fsum(e * x[k] for e, x in zip(errors, inputs, strict=True)) / len(rows) for k in range(3)]
    return loss, [g + l1 * sign(v) + 2 * l2 * v for g, v, (l1, l2) in zip(gradient, w, penalties, strict=True)]


def path(kind, arguments, batches, penalties=((0.0, 0.0),) * 3, steps=STEPS):
    """Parameters after each step, the loss before it, and what happened; batches are lists of rows, taken in turn."""
    own = dict(arguments)
    schedule = own.pop("learning_rate", None)
    decay = own.pop("weight_decay", 0.01 if kind is AdamW else 0.0)
    decay_all, clipvalue, each, clipnorm = (
        own.pop(name, None) for name in ("decay_all", "clipvalue", "clipnorm", "global_clipnorm")
    )
    move, rate = MOVES[kind], constant
    values = {"learning_rate": schedule}
    if type(schedule) in RATES:
        rate, values = RATES[type(schedule)], dict(vars(schedule))
        steps = values.pop("steps", None) or steps
    if own.get("nesterov"):
        move = sutskever if rate is constant else nesterov_with_rate_outside
    if rate is stairs:
        values.pop("staircase")

    w, memories, found, losses, events = list(START), [{}, {}, {}], [], [], set()
    for t in range(STEPS):
        loss, g = slopes(w, batches[t % len(batches)], penalties)
        events |= {"a weight of 0"} if 0.0 in w else set()
        eta = rate(t, steps, **values)
        if clipvalue is not None:
            events.add("clipped" if max(map(abs, g)) > clipvalue else "not clipped")
            g = [max(-clipvalue, min(clipvalue, slope)) for slope in g]
        if each is not None:  # the norm of the weights, and that of the bias
            norms = [math.hypot(*g[:2])] * 2 + [abs(g[2])]
            events |= {"one too long" if norm > each else "one not too long" for norm in norms}
            g = [slope * min(1.0, each / norm) if norm else slope for slope, norm in zip(g, norms, strict=True)]
        if clipnorm is not None:
            norm = math.hypot(*g)
            events.add("too long" if norm > clipnorm else "not too long")
            g = [slope * min(1.0, clipnorm / norm) for slope in g]
        kept = [w[k] * (1 - eta * decay) if decay and (k < 2 or decay_all) else w[k] for k in range(3)]
        before, w = w, [move(m, v, s, eta, loss, **own) for m, v, s in zip(memories, kept, g, strict=True)]
        events |= {"a sign that changes"} if any(a * b < 0 for a, b in zip(before, w, strict=True)) else set()
        found.append(w)
        losses.append(loss)
    for memory in memories:
        events |= memory.get("events", set())
    return found, losses, events
