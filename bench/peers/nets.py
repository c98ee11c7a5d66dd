"""The nets that are measured: what each is, its data, its arithmetic, and its loss in NumPy."""

from typing import NamedTuple

import numpy as np

CLASSES, NUMBERS, BINARY = "sparse_categorical_crossentropy", "mean_squared_error", "binary_crossentropy"
ORDERED_TOLERANCE = 5e-3
NOISE = 0.3  # in the targets: a loss that goes to 0 could not be compared


class Net(NamedTuple):
    """One row of the table. Where `batch` is `rows`, each step takes all of them, in their order."""

    name: str  # widths; "3x256" abbreviates 256-256-256
    batch: int
    rows: int
    epochs: int  # trained before the losses are compared; see `checks`
    loss: str = CLASSES
    hidden: str = "relu"  # activation of the hidden layers; the last one has that of the loss
    optimizer: str = "adam"  # "rprop", "sgd", or "gradient": no update
    dtype: str = "float32"
    tolerance: float = 0.05  # of the losses, relative: about twice what another seed of the shuffling changes
    aim: float | None = None  # microseconds a step on one thread
    aim_ratio: float | None = None  # times PyTorch, on all cores
    remedy: str = ""  # what fastml's own net has beyond the plain one; see REMEDIES

    @property
    def key(self):
        return f"{self.name}, {self.remedy}" if self.remedy else self.name

    @property
    def widths(self):
        widths = []
        for part in self.name.split("-"):
            times, _, width = part.rpartition("x")
            widths += [int(width)] * int(times or 1)
        return widths

    @property
    def layers(self):
        """Pairs (d_in, d_out)."""
        return list(zip(self.widths, self.widths[1:], strict=False))

    @property
    def full_batch(self):
        return self.batch == self.rows

    @property
    def steps(self):
        """In an epoch."""
        return self.rows // self.batch

    @property
    def checks(self):
        """How losses are compared: {name: (epochs, whether rows are shuffled, relative tolerance)}.

        Each library shuffles in its own way, which moves the loss; with the rows in order, only roundings differ, and
        what Adam makes of them where a slope is nearly 0.
        """
        if self.full_batch:
            return {"full batch": (self.epochs, False, self.tolerance)}
        return {"in order": (1, False, ORDERED_TOLERANCE), "shuffled": (self.epochs, True, self.tolerance)}

    @property
    def mflop(self):
        """Of the products of a step: forward, by the weights, and by the inputs except for the first layer's."""
        sizes = [d_in * d_out for d_in, d_out in self.layers]
        return 2e-6 * self.batch * (3 * sum(sizes) - sizes[0])

    @property
    def remark(self):
        """What the row has beyond the usual, in words."""
        words = [f"{self.hidden} hidden"] if self.hidden != "relu" else []
        words += ["full batch"] if self.full_batch else []
        words += {"adam": [], "gradient": ["gradient only"]}.get(self.optimizer, [self.optimizer.capitalize()])
        words += [self.dtype] if self.dtype != "float32" else []
        return ", ".join(words)


NETS = [
    Net("4-16-3", 16, 1024, 20, aim=1.2),
    Net("64-32-10", 32, 2048, 10, aim=5),
    Net("32-64-64-1", 64, 4096, 10, NUMBERS, aim=20),
    Net("784-128-10", 128, 8192, 1, aim=370),
    Net("28-5x300-1", 100, 6400, 1, BINARY, "tanh", tolerance=0.25, aim=1550),
    Net("64-3x256-10", 256, 16384, 1, tolerance=0.1, aim=1520),
    Net("32-6x256-10", 128, 2048, 4, tolerance=0.25),  # of SciMLBenchmarks
    Net("784-512-512-10", 128, 8192, 1, tolerance=0.25, aim=2800),
    Net("1024-2048-2048-10", 512, 2048, 2, tolerance=0.5, aim=118000),
    Net("4-32-16-4", 10000, 10000, 100, NUMBERS, "tanh", tolerance=1e-3, aim_ratio=10),
    Net("24-8-2", 200, 200, 1, NUMBERS, "tanh", "gradient", "float64", tolerance=1e-9, aim=5.5),
    Net("125-32-2", 4062, 4062, 20, CLASSES, "sigmoid", "rprop", tolerance=1e-3, aim=600),
]

PLAIN = Net("784-512-512-10", 128, 8192, 1)
PLAIN_SGD = PLAIN._replace(optimizer="sgd", remedy="plain SGD")
REMEDIES = [  # a net and the plain one that it is compared with
    (PLAIN._replace(remedy="dropout"), PLAIN),
    (PLAIN._replace(remedy="batch normalization"), PLAIN),
    (PLAIN._replace(remedy="weight decay"), PLAIN),
    (PLAIN_SGD._replace(remedy="Nesterov"), PLAIN_SGD),
]
REMEDY_AIM = 1.15  # times the plain step


def find(key):
    """The net of a key."""
    remedies = [net for pair in REMEDIES for net in pair]
    return next(net for net in NETS + remedies if net.key == key)


def make_data(net):
    """x : (rows, d) normal, and targets that a linear teacher gives, with noise; y : (rows,) int64, or (rows, d_out).

    Labels where the loss is over classes, else numbers of the net's dtype.
    """
    random = np.random.default_rng(0)
    d_in, d_out = net.widths[0], net.widths[-1]
    x = random.standard_normal((net.rows, d_in))
    z = x @ random.standard_normal((d_in, d_out)) / np.sqrt(d_in) + NOISE * random.standard_normal((net.rows, d_out))
    x = x.astype(net.dtype)
    if net.loss == CLASSES:
        return x, z.argmax(axis=1)
    return x, (z > 0 if net.loss == BINARY else np.tanh(z)).astype(net.dtype)


ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
}


def loss_of(net, weights, x, y):
    """The mean loss over the rows in float64, for weights [W, b, …] of any library: none is asked for its own."""
    a = x.astype(np.float64)
    for k in range(len(net.layers)):
        z = a @ np.float64(weights[2 * k]) + weights[2 * k + 1]
        a = ACTIVATIONS[net.hidden](z)
    if net.loss == NUMBERS:
        return float(((z - y) ** 2).mean())
    if net.loss == BINARY:
        return float((np.logaddexp(0, z) - z * y).mean())
    return float((np.logaddexp.reduce(z, axis=1) - z[np.arange(len(z)), y]).mean())


def chosen(nets, parts):
    """The nets whose key has one of the parts in it; all of them without parts."""
    return [net for net in nets if not parts or any(part in net.key for part in parts)]
