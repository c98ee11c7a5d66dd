"""Lowering: from the description of a model to its program."""

import numpy as np

from fastml.kernels.operation import instruction
from fastml.kernels.rows import INPUTS, TARGETS, WEIGHTS
from fastml.kernels.tiling import scratch_size
from fastml.layers import Activation, Dropout
from fastml.losses import CategoricalCrossentropy, name_of
from fastml.metrics import means_over_rows
from fastml.program.memory import ALIGNMENT
from fastml.program.plan import WHOLE
from fastml.program.program import Program, assembled, joined, layout, padded, spans_of, update_instructions


class Lowering:
    """What layers write to while they lower themselves: instructions, and room in the workspace."""

    def __init__(self, parameters, trained, height, plan, line):
        self.parameters, self.trained = parameters, trained  # size of those that are trained
        self.height, self.plan, self.line = height, plan, line
        self.places = {(p.layer, p.name): p.offset for p in parameters}
        self.instructions, self.sums, self.tracking = [], [], []
        self.layer = 0
        self.training = True  # or inference, in which nothing is kept for a way back
        self.kept = set()  # places of the workspace that a backward instruction will read
        self.work_size = self.row_size = 0
        room = padded(scratch_size(height, [p.shape for p in parameters if len(p.shape) == 2]), line)
        self.scratch = {"scratch": self.workspace(room * plan.threads), "room": room}  # of products, each thread's own

    def place(self, name):
        """The offset of a parameter of the layer that is being lowered."""
        return self.places[self.layer, name]

    def workspace(self, size):
        """Takes `size` elements of the workspace; returns their offset."""
        offset = self.work_size
        self.work_size += padded(size, self.line)
        return offset

    def rows(self, width):
        """Takes room for rows of a batch."""
        self.row_size += width
        return self.workspace(self.height * width)

    def keep(self, *places):
        """Says that a backward instruction will read these rows, so that nobody may overwrite them."""
        if self.training:
            self.kept.update(places)

    def emit(self, op, **operands):
        self.instructions.append(instruction(op, **operands))

    def barrier(self):
        """Lets the threads wait for each other: what follows reads what others have written."""
        self.emit("barrier")

    def sum(self, op, **operands):
        """Emits an instruction that sums over rows: over those of a block at once, else when all threads have met."""
        (self.instructions if self.plan.block else self.sums).append(instruction(op, **operands))

    def sum_vector(self, terms, W, d_in):
        """Emits what sums rows of terms up, (n, d_in), as the gradient of a vector of weights at W."""
        self.sum("sum_terms", terms=terms, W=W, size=self.trained, d_in=d_in, one=1)  # a matrix of one column

    def track(self, op, **operands):
        """Emits an instruction that changes statistics, for the end of a training step."""
        self.tracking.append(instruction(op, **operands))

    def product_of(self, operand, place):
        """The last instruction, if it is a plain matrix product that writes this operand to this place, else None."""
        op = {"z": "dense_forward", "dx": "dense_backward_inputs"}[operand]
        last = self.instructions[-1] if self.instructions else {"op": None}
        return last if last["op"] == op and last[operand] == place and "function" not in last else None

    def take(self):
        """The instructions emitted since the last call."""
        taken, self.instructions = assembled(self.instructions), []
        return taken

    def chain(self, parts, x, d_in):
        """Lowers pairs of position and elementary layer; returns the place of the outputs, and the backwards."""
        backwards = []
        for self.layer, part in parts:
            x, backward = part.lower(self, x, d_in)
            d_in = part.units_out(d_in)
            backwards.append(backward)
        return x, backwards


class Objective:
    """The instructions around the loss: targets and weights in; loss of the batch, metrics and gradient out."""

    def __init__(self, to, loss, metrics, width, batch, weighted):
        self.to, self.loss, self.metrics, self.width, self.weighted = to, loss, metrics, width, weighted
        loss.check_units(width)
        self.d_y = 1 if loss.targets == "labels" else width
        self.y, self.a, self.dz = to.rows(self.d_y), to.rows(width), to.rows(width)
        self.losses, self.w = to.workspace(batch), to.rows(1) if weighted else 0
        self.scores = [to.workspace(batch) for _ in metrics]
        self.constants, name = loss.constants(), loss.operation
        self.smoothing = self.constants.pop("label_smoothing", 0.0)
        self.operands = {"y": self.y, "d_y": self.d_y}
        if self.smoothing:
            self.smooth = to.rows(width)
            name = CategoricalCrossentropy.operation if loss.targets == "labels" else name
            self.operands = {"y": self.smooth, "d_y": width}
        self.forward_op, self.backward_op = f"{name}_forward", f"{name}_backward"
        self.operands |= {"a": self.a, "d_out": width, **self.constants}

    def forward(self, z):
        """The loss of each row, from what the last layer gives."""
        to, loss = self.to, self.loss
        to.emit("gather", data=TARGETS, x=self.y, width=self.d_y)
        if self.weighted:
            to.emit("gather", data=WEIGHTS, x=self.w, width=1)
        if self.smoothing:
            classes = 2 if loss.targets == "probabilities" else self.width
            operands = {"y": self.y, "d_y": self.d_y, "smooth": self.smooth, "d_out": self.width, "classes": classes}
            to.emit("smooth_targets", label_smoothing=self.smoothing, **operands)
        to.emit(self.forward_op, z=z, terms=self.dz, losses=self.losses, **self.operands)
        if self.weighted:
            to.emit("weigh_losses", w=self.w, losses=self.losses)
        return to.take()

    def scoring(self):
        """How good the prediction for each row is."""
        sizes = {"d_y": self.d_y, "d_out": self.width}
        for metric, scores in zip(self.metrics, self.scores, strict=True):
            self.to.emit(metric.operation, a=self.a, y=self.y, scores=scores, **sizes)
        return self.to.take()

    def backward(self, backwards, asked):
        """The gradient, through the layers from the last one; the `asked` first ones need none."""
        self.to.emit(self.backward_op, dz=self.dz, **self.operands)
        if self.weighted:
            self.to.emit("weigh_rows", w=self.w, rows=self.dz, width=self.width)
        dz = self.dz
        for k in reversed(range(asked, len(backwards))):
            dz = backwards[k](dz, inputs=k > asked)
        return self.to.take()

    def total(self):
        """Loss and penalties of the batch, once all rows are through."""
        self.to.emit("add_loss", losses=self.losses, total=0)
        self.penalties("add_penalty", total=0)
        return self.to.take()

    def scores_total(self):
        """Scores of the batch."""
        for k, scores in enumerate(self.scores):
            self.to.emit("add_score", scores=scores, total=1 + k)
        return self.to.take()

    def penalty_gradients(self):
        """What the penalties add to the gradient, once it is complete."""
        self.penalties("penalty_backward")
        if any(p.regularizer and not p.frozen for p in self.to.parameters):
            self.to.barrier()
        return self.to.take()

    def penalties(self, op, **operands):
        for p in self.to.parameters:
            if p.regularizer is not None and not p.frozen:
                l1, l2 = p.regularizer.l1, p.regularizer.l2
                self.to.emit(op, W=p.offset, size=p.size, l1=l1, l2=l2, **operands)


def lower(layers, d_in, batch, dtype, loss=None, metrics=(), optimizer=None, weighted=False, height=None, plan=WHOLE):
    """The Program of a model.

    `layers` are Layer objects, `d_in` the width of the data, `batch` the most rows that a step takes, `loss` a Loss,
    `metrics` what `resolve_metric` gives, `optimizer` an Optimizer, `weighted` whether the rows have weights, `height`
    the rows that the workspace is for if they are not `batch`, `plan` the Plan of training. Without a loss, only
    prediction has instructions; without a layer that is trained, neither training has any.
    """
    line = ALIGNMENT // np.dtype(dtype).itemsize
    parameters, groups = layout(layers, d_in, line)
    to = Lowering(parameters, groups["weight"] + groups["bias"], height or batch, plan, line)
    x = to.rows(d_in)
    to.emit("gather", data=INPUTS, x=x, width=d_in)
    gather = to.take()

    width, products, chain, link = d_in, 0, elementary(layers, kept_parts), []
    for layer in layers:
        products += layer.products(width)
        width = layer.units_out(width)
    if loss and chain and isinstance(chain[-1][1], Activation) and chain[-1][1].activation == loss.link:
        link = [chain.pop()]  # the loss takes the logits and applies this activation itself

    objective = Objective(to, loss, means_over_rows(metrics), width, batch, weighted) if loss else None
    shared = end = to.work_size
    parts = dict.fromkeys(("training", "gradient", "value", "evaluation"), assembled([]))
    updates, spans, row_size = 0, spans_of(parameters, groups, line), to.row_size
    if loss:
        if not spans["each"] and not any(p.frozen for p in parameters):
            raise ValueError("the model has no weights to train: add a Dense layer")
        found, updates = training_parts(to, objective, chain, gather, x, d_in)
        if any(p.trained for p in parameters):
            found["training"] = joined(found["training"], assembled(update_instructions(optimizer, spans)))
        else:
            found["training"] = assembled([])
        parts, end, row_size = parts | found, to.work_size, to.row_size

    to.training, to.kept, to.work_size = False, set(), shared  # inference has the same room for its rows
    parts |= inference_parts(to, objective, chain, link, gather, x, d_in, width, len(metrics))
    return Program(
        **parts,
        updates=updates,
        spans=spans,
        parameters=[p for p in parameters if p.role != "constant"],
        groups=groups,
        batch=batch,
        height=to.height,
        row_size=row_size,
        plan=plan,
        weighted=weighted,
        d_out=width,
        params_size=sum(groups.values()),
        state_size=sum(groups.values()) * len(optimizer.start) if optimizer else 0,
        work_size=max(end, to.work_size),
        flops=6 * products,
    )


def training_parts(to, objective, chain, gather, x, d_in):
    """The instructions of training, without its updates, of its gradient and of its loss; and how long the first is."""
    barrier, again, shards = assembled([{"op": "barrier"}]), assembled([]), assembled([])
    if to.plan.block:
        gather, again = joined(assembled([{"op": "begin_block"}]), gather), assembled([{"op": "next_block"}])
        shards = joined(assembled([{"op": "add_shards", "W": 0, "size": to.trained}]), barrier)
    trained = {p.layer for p in to.parameters if p.trained}
    a, backwards = to.chain(chain, x, d_in)
    forward, scoring = joined(gather, to.take(), objective.forward(a)), objective.scoring()
    found = (k for k, (position, _) in enumerate(chain) if position in trained)
    first = next(found, len(chain))  # below, nobody asks
    backward = objective.backward(backwards, first)
    total, scores, penalties = objective.total(), objective.scores_total(), objective.penalty_gradients()
    guard = assembled([{"op": "stop_unless_finite"}])
    rows, summed = joined(backward, again, barrier, total), joined(assembled(to.sums), barrier)
    step = joined(forward, scoring, rows, scores, summed, guard, shards, penalties, assembled(to.tracking))
    gradient, value = joined(forward, rows, summed, shards, penalties), joined(forward, again, barrier, total)
    return {"training": step, "gradient": gradient, "value": value}, len(step)


def inference_parts(to, objective, chain, link, gather, x, d_in, width, metrics):
    """The instructions of prediction and, where there is an objective, of evaluation."""
    parts, barrier = {}, assembled([{"op": "barrier"}])
    a, _ = to.chain(chain, x, d_in)
    forward = joined(gather, to.take())
    if objective:
        loss_and_scores = joined(objective.forward(a), objective.scoring())
        if len(objective.metrics) < metrics:  # some need all predictions
            to.emit("store_outputs", a=objective.a, d_out=width)
            loss_and_scores = joined(loss_and_scores, to.take())
        totals = joined(barrier, objective.total(), objective.scores_total(), barrier)
        parts["evaluation"] = joined(forward, loss_and_scores, totals)
    a, _ = to.chain(link, a, width)
    to.emit("store_outputs", a=a, d_out=width)
    return parts | {"prediction": joined(forward, to.take(), barrier)}  # before anyone takes the next batch


def elementary(layers, parts=lambda layer: layer.expand()):
    """The layers as pairs of position and elementary layer."""
    return [(position, part) for position, layer in enumerate(layers) for part in parts(layer)]


def kept_parts(layer):
    """What a layer of an engine expands to: the same in all its programs, as functions are traced once."""
    kept = layer.__dict__.setdefault("_kept_parts", {})  # by what may still change
    if layer.trainable not in kept:
        kept.setdefault(layer.trainable, layer.expand())  # another thread may have been there first
    return kept[layer.trainable]


def check_output(layers, loss, units=None):
    """ValueError unless the last layer gives what the loss takes; `units` is the number of outputs, where known."""
    chain, name = elementary(layers), name_of(loss)
    last = chain[-1][1] if chain else None
    activation = last.activation if isinstance(last, Activation) else "linear"
    if isinstance(last, Dropout):
        raise ValueError("Dropout cannot be the last layer: it would set predictions to 0 while training")
    if layers and loss.link != "linear" and activation not in (loss.link, "linear"):
        raise ValueError(
            f"{name} takes logits: the last layer's activation must be '{loss.link}', which is fused with the loss, or "
            f"'linear', not '{activation}'"
        )
    wanted = {True: "linear", False: loss.link, None: activation}[loss.from_logits]
    if layers and activation != wanted:
        raise ValueError(
            f"{name} was given from_logits={loss.from_logits}: the last layer's activation must be '{wanted}', not "
            f"'{activation}'"
        )
    if units == 1 and loss.link == "softmax":
        raise ValueError(f"{name} needs an output for each class, at least 2; for one output use binary_crossentropy")
