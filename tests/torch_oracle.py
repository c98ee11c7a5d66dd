"""PyTorch as an oracle: its functions by our names, the twin of a model in it, and the bounds of agreement."""

import math

import numpy as np
import pytest

from fastml import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Embedding,
    LayerNormalization,
    Normalization,
    PeriodicEmbedding,
    Sequential,
)
from fastml.losses import name_of
from fastml.program.random import dropout_mask

torch = pytest.importorskip("torch", reason="PyTorch, with which these tests compare, is not installed")
torch.set_num_threads(1)  # the arrays are small
F = torch.nn.functional

each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
each_executor = pytest.mark.parametrize("executor", ["compiled", "numpy"])

TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
LARGEST = {}  # deviation by oracle and dtype, of all that `agree` has compared


def log_cosh(a, y, reduction="mean"):
    size = (a - y).abs()
    losses = size + F.softplus(-2 * size) - math.log(2)
    return losses.mean() if reduction == "mean" else losses


FUNCTIONS = {
    "linear": lambda z: z,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": torch.selu,
    "softplus": F.softplus,
    "exponential": torch.exp,
    "softmax": lambda z: torch.softmax(z, dim=1),
    "silu": F.silu,
    "gelu": F.gelu,
    "mish": F.mish,
    "hard_sigmoid": lambda z: F.relu6(z + 3) / 6,  # F.hardsigmoid has 1/6 in single precision
}


def binary_cross_entropy(z, y, reduction="mean", label_smoothing=0.0):
    """PyTorch's has no label smoothing: the smoothed targets are its targets."""
    smooth = (1 - label_smoothing) * y + label_smoothing / 2
    return F.binary_cross_entropy_with_logits(z, smooth, reduction=reduction)


LOSS_FUNCTIONS = {  # of what enters the output activation
    "mean_squared_error": F.mse_loss,
    "mean_absolute_error": F.l1_loss,
    "huber": F.huber_loss,
    "log_cosh": log_cosh,
    "poisson": F.poisson_nll_loss,
    "binary_crossentropy": binary_cross_entropy,
    "categorical_crossentropy": F.cross_entropy,
    "sparse_categorical_crossentropy": F.cross_entropy,
}


def leaves(values):
    """The arrays in nested lists of arrays, tensors and numbers."""
    if isinstance(values, (list, tuple)):
        for value in values:
            yield from leaves(value)
    else:
        yield values.detach().numpy() if torch.is_tensor(values) else np.asarray(values)


def agree(oracle, dtype, got, expected):
    """Asserts that arrays of dtype deviate by no more than its tolerance, relative to max(1, |expected|)."""
    for ours, theirs in zip(leaves(got), leaves(expected), strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == dtype or not ours.shape
        deviation = np.max(np.abs(ours.astype(np.float64) - theirs) / np.maximum(1, np.abs(theirs)))
        LARGEST[oracle, dtype] = max(LARGEST.get((oracle, dtype), 0.0), float(deviation))
        assert deviation <= TOLERANCE[dtype], f"{oracle}: {deviation:.1e} in {dtype}"


def distance(got, expected):
    """The largest difference of two nested lists of arrays."""
    return max(float(np.abs(a - b).max()) for a, b in zip(leaves(got), leaves(expected), strict=True))


def make_model(layers, optimizer="sgd", loss="mean_squared_error", dtype="float64", executor="compiled", d_in=5):
    """A compiled model with random weights everywhere, also in biases and batch normalization."""
    model = Sequential(layers, input_dim=d_in, dtype=dtype, seed=1)
    model.compile(optimizer, loss, executor=executor)
    rng = np.random.default_rng(3)
    model.set_weights([w + rng.uniform(0, 0.4, w.shape) for w in model.get_weights()])  # a variance stays positive
    return model


class Function(torch.nn.Module):
    """A function of the rows as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Mask(torch.nn.Module):
    """Dropout in training mode by the masks that fastml draws: they are a function of seed, step, epoch and layer."""

    step = epoch = 0

    def __init__(self, seed, position, rate):
        super().__init__()
        self.seed, self.position, self.rate = seed, position, rate

    def forward(self, x):
        if not self.training:
            return x
        mask = dropout_mask(self.seed, self.step, self.epoch, self.position, self.rate, tuple(x.shape))
        return x * torch.tensor(mask, dtype=x.dtype)


class Tables(torch.nn.Module):
    """The columns that an Embedding leaves, and behind them the vectors of the others by `torch.nn.Embedding`."""

    def __init__(self, columns, tables):
        super().__init__()
        self.columns = columns
        self.tables = torch.nn.ModuleList(torch.nn.Embedding.from_pretrained(t, freeze=False) for t in tables)

    def forward(self, x):
        others = [column for column in range(x.shape[1]) if column not in self.columns]
        vectors = [table(x[:, column].long()) for column, table in zip(self.columns, self.tables, strict=True)]
        return torch.cat([x[:, others], *vectors], dim=1)


class Waves(torch.nn.Module):
    """The columns that a PeriodicEmbedding keeps, and behind them the vectors of those that it embeds."""

    def __init__(self, layer, weights):
        super().__init__()
        self.layer = layer
        self.parts = torch.nn.ParameterList([torch.nn.Parameter(next(weights).clone()) for _ in range(4)])

    def forward(self, x):
        frequencies, phases, W, b = self.parts
        columns = self.layer.embedded(x.shape[1])
        waves = torch.cos(2 * torch.pi * x[:, columns, None] * frequencies + phases)
        vectors = torch.einsum("ncf,cfu->ncu", waves, W.reshape(len(columns), -1, b.shape[1])) + b
        vectors = (torch.relu(vectors) if self.layer.relu else vectors).flatten(1)
        kept = [column for column in range(x.shape[1]) if self.layer.keep or column not in columns]
        return torch.cat([x[:, kept], vectors], dim=1)


def activation(layer):
    """An Activation as a module."""
    function, alpha = FUNCTIONS[layer.activation], layer.alpha
    return Function(function if alpha is None else lambda z: function(z, alpha))


def twin(model):
    """The layers of a model with copies of its weights, a torch.nn.Sequential in training mode."""
    weights, modules = (torch.tensor(w) for w in model.get_weights()), []
    for position, layer in enumerate(model.layers):
        match layer:
            case Dense():
                W, b = next(weights), next(weights)
                linear = torch.nn.Linear(*W.shape, dtype=W.dtype)
                linear.weight.data, linear.bias.data = W.T.contiguous(), b
                modules += [linear, activation(layer.function)]
            case Activation():
                modules.append(activation(layer))
            case Dropout():
                modules.append(Mask(model.seed, position, layer.rate))
            case Embedding():
                modules.append(Tables(list(layer.columns), [next(weights) for _ in layer.columns]))
            case PeriodicEmbedding():
                modules.append(Waves(layer, weights))
            case Normalization():
                mean, scale = next(weights), next(weights)
                modules.append(Function(lambda x, mean=mean, scale=scale: (x - mean) * scale))
            case BatchNormalization():
                gamma = next(weights)
                norm = torch.nn.BatchNorm1d(len(gamma), layer.epsilon, 1 - layer.momentum, dtype=gamma.dtype)
                norm.weight.data, norm.bias.data = gamma, next(weights)
                norm.running_mean, norm.running_var = next(weights), next(weights)
                modules.append(norm)
            case LayerNormalization():
                gamma = next(weights)
                norm = torch.nn.LayerNorm(len(gamma), layer.epsilon, dtype=gamma.dtype)
                norm.weight.data, norm.bias.data = gamma, next(weights)
                modules.append(norm)
            case _:
                raise NotImplementedError(f"{layer!r} has no twin in PyTorch")
    return torch.nn.Sequential(*modules)


def weights_of(net):
    """Copies of the weights of a twin in the order and shapes of `get_weights`."""
    arrays = []
    for module in net:
        if isinstance(module, torch.nn.Linear):
            arrays += [module.weight.T, module.bias]
        elif isinstance(module, Tables):
            arrays += [table.weight for table in module.tables]
        elif isinstance(module, Waves):
            arrays += list(module.parts)
        elif isinstance(module, torch.nn.BatchNorm1d):
            arrays += [module.weight, module.bias, module.running_mean, module.running_var]
        elif isinstance(module, torch.nn.LayerNorm):
            arrays += [module.weight, module.bias]
    return [tensor.detach().numpy().copy() for tensor in arrays]


def gradients_of(net):
    """The gradients of a twin in the order and shapes of `get_weights`; 0 for running statistics."""
    arrays = []
    for module in net:
        if isinstance(module, torch.nn.Linear):
            arrays += [module.weight.grad.T, module.bias.grad]
        elif isinstance(module, Tables):
            arrays += [table.weight.grad for table in module.tables]
        elif isinstance(module, Waves):
            arrays += [part.grad for part in module.parts]
        elif isinstance(module, torch.nn.BatchNorm1d):
            arrays += [module.weight.grad, module.bias.grad, *[torch.zeros_like(module.bias)] * 2]
        elif isinstance(module, torch.nn.LayerNorm):
            arrays += [module.weight.grad, module.bias.grad]
    return arrays


def tensors(model, x, y):
    """Rows and targets as PyTorch takes them: in the model's dtype, but class numbers as integers."""
    dtype = getattr(torch, model.dtype)
    labels = np.issubdtype(np.asarray(y).dtype, np.integer) and np.ndim(y) == 1
    return torch.tensor(x, dtype=dtype), torch.tensor(y) if labels else torch.tensor(y, dtype=dtype)


def row_losses(loss, z, y):
    """The loss of each row, from what enters the output activation."""
    losses = LOSS_FUNCTIONS[name_of(loss)](z, y, reduction="none", **loss.constants())
    return losses.mean(dim=1) if losses.ndim == 2 else losses


def objective(model, net, x, y, weights=None):
    """A function of a slice of the rows: the mean loss of the twin over them, or with weights Σ w·loss / Σ w."""
    loss = model.loss
    inner = without_link(model, net)
    x, y = tensors(model, x, y)
    w = None if weights is None else torch.tensor(weights, dtype=x.dtype)

    def value(rows):
        z = inner(x[rows])
        if w is None:
            return LOSS_FUNCTIONS[name_of(loss)](z, y[rows], **loss.constants())
        return (w[rows] * row_losses(loss, z, y[rows])).sum() / w[rows].sum()

    return value


def without_link(model, net):
    """The twin up to what enters the loss: without the output activation, if that is the one that the loss applies."""
    last = model.layers[-1]
    fused = isinstance(last, (Dense, Activation)) and last.activation == model.loss.link
    return net[:-1] if fused else net
