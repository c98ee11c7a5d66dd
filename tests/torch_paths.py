"""Training here and in PyTorch, from the same weights with the same batches."""

import numpy as np
from helpers import make_data
from torch_oracle import Mask, make_model, objective, torch, twin, weights_of

from fastml import AdamW, Callback, Dense


class Path(Callback):
    """Keeps the weights after each epoch."""

    def on_train_begin(self, logs):
        self.weights = []

    def on_epoch_end(self, epoch, logs):
        self.weights.append(self.model.get_weights())


def our_path(model, x, y, **arguments):
    """Trains a model without shuffling: its losses and its weights after each epoch."""
    path = Path()
    history = model.fit(x, y, shuffle=False, verbose=0, callbacks=[path], **arguments)
    return history.history["loss"], path.weights


def batches(rows, size):
    """Slices of the rows, the last as long as there are rows."""
    return [slice(first, min(first + size, rows)) for first in range(0, rows, size)]


def their_path(net, optimizer, value, batches, epochs, scheduler=None):
    """Trains a twin by the loss `value` of each batch: its losses and its weights after each epoch."""
    losses, path = [], []
    for epoch in range(epochs):
        total = 0.0
        for step, rows in enumerate(batches):
            for module in net:
                if isinstance(module, Mask):
                    module.step, module.epoch = step, epoch
            optimizer.zero_grad()
            loss = value(rows)
            loss.backward()
            optimizer.step()
            if scheduler:
                scheduler.step()
            total += loss.item() * (rows.stop - rows.start)
        losses.append(total / batches[-1].stop)
        path.append(weights_of(net))
    return losses, path


def torch_optimizer(optimizer, net, learning_rate=None):
    """PyTorch's optimizer with the hyper-parameters of ours.

    Clipping and, where PyTorch has it for AdamW only, the decoupled decay are hooks in front of its step. PyTorch clips
    to the norm c by c / (norm + 1e-6), which the norm that it is given makes up for.
    """
    o, kinds = optimizer, (torch.nn.Linear, torch.nn.Embedding)
    weights = [module.weight for module in net.modules() if isinstance(module, kinds)]
    others = [p for p in net.parameters() if all(p is not w for w in weights)]
    groups = [{"params": weights}, {"params": others}]
    if type(o).__name__ == "Rprop":
        etas, sizes = (o.eta_minus, o.eta_plus), (o.step_min, o.step_max)
        return torch.optim.Rprop(groups, o.initial_step, etas=etas, step_sizes=sizes)
    rate = o.learning_rate if learning_rate is None else learning_rate
    decays = o.weight_decay, o.weight_decay if o.decay_all else 0.0
    ours = True  # whether the decay is up to the hook
    match type(o).__name__:
        case "SGD":
            made = torch.optim.SGD(groups, rate, momentum=o.momentum, nesterov=o.nesterov)
        case "Adam" | "AdamW":
            kind = torch.optim.AdamW if isinstance(o, AdamW) or o.weight_decay else torch.optim.Adam
            groups = [group | {"weight_decay": decay} for group, decay in zip(groups, decays, strict=True)]
            made, ours = kind(groups, rate, betas=(o.beta_1, o.beta_2), eps=o.epsilon), False
        case "Adamax":
            made = torch.optim.Adamax(groups, rate, betas=(o.beta_1, o.beta_2), eps=o.epsilon)
        case "RMSprop":
            made = torch.optim.RMSprop(groups, rate, alpha=o.rho, eps=o.epsilon)
        case "Adagrad":
            start = o.initial_accumulator_value
            made = torch.optim.Adagrad(groups, rate, initial_accumulator_value=start, eps=o.epsilon)
        case unknown:
            raise NotImplementedError(f"{unknown} has no twin in PyTorch")

    @torch.no_grad()
    def before(made, args, kwargs):
        parameters = list(net.parameters())
        if o.clipvalue is not None:
            torch.nn.utils.clip_grad_value_(parameters, o.clipvalue)
        for p in parameters if o.clipnorm is not None else ():
            norm = torch.nn.utils.get_total_norm([p.grad])
            torch.nn.utils.clip_grads_with_norm_([p], o.clipnorm, norm - 1e-6)
        if o.global_clipnorm is not None:
            norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
            torch.nn.utils.clip_grads_with_norm_(parameters, o.global_clipnorm, norm - 1e-6)
        for group, decay in zip(made.param_groups, decays, strict=True):
            for p in group["params"] if ours else ():
                p.mul_(1 - group["lr"] * decay)

    made.register_step_pre_hook(before)
    return made


def both_paths(
    optimizer, dtype="float64", executor="compiled", made=None, penalty=None, epochs=6, size=8, **regularizers
):
    """Losses and weights after each epoch, ours and PyTorch's, of a small net on 27 rows: batches of 8, 8, 8 and 3.

    An optimizer that wants full batches takes as many steps with them. `made` makes PyTorch's optimizer from the twin
    in place of `torch_optimizer`. `penalty` of the twin is added to its loss; `regularizers` are of our first layer.
    """
    if optimizer.full_batch:
        size, epochs = 27, 4 * epochs
    x, y = make_data("mean_squared_error", rows=27)
    model = make_model([Dense(6, "tanh", **regularizers), Dense(3)], optimizer, dtype=dtype, executor=executor)
    net = twin(model)
    value, theirs = objective(model, net, x, y), made(net) if made else torch_optimizer(optimizer, net)
    loss = (lambda rows: value(rows) + penalty(net)) if penalty else value
    ours = our_path(model, x, y, batch_size=size, epochs=epochs)
    return ours, their_path(net, theirs, loss, batches(27, size), epochs)


def rates_of(make, steps, learning_rate):
    """The rates of a schedule of PyTorch, step by step; `make` makes it for an optimizer with this learning rate."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], learning_rate)
    scheduler, rates = make(optimizer), []
    for step in range(steps):
        if step:
            optimizer.step()
            scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return np.array(rates)
