"""fastml, compiled and in NumPy."""

import numpy as np

import fastml
from bench.peers.nets import CLASSES
from bench.peers.session import Session
from fastml.losses import resolve_loss
from fastml.program.executors import EXECUTORS
from fastml.program.lowering import lower
from fastml.program.program import Buffers
from fastml.training.run import Data, Run

LINKS = {"mean_squared_error": "linear", "binary_crossentropy": "sigmoid", CLASSES: "softmax"}


def make_layers(net):
    """The layers, with dropout or batch normalization where the net has them."""
    layers = []
    for units in net.widths[1:-1]:
        if net.remedy == "batch normalization":
            layers += [fastml.Dense(units), fastml.BatchNormalization(), fastml.Activation(net.hidden)]
        else:
            layers += [fastml.Dense(units, net.hidden)]
        layers += [fastml.Dropout(0.2)] if net.remedy == "dropout" else []
    return [*layers, fastml.Dense(net.widths[-1], LINKS[net.loss])]


def make_optimizer(net):
    if net.optimizer == "rprop":
        return fastml.Rprop()
    if net.optimizer == "sgd":
        return fastml.SGD(0.01, momentum=0.9, nesterov=True) if net.remedy == "Nesterov" else fastml.SGD(0.01)
    return fastml.Adam(0.001, weight_decay=0.01 if net.remedy == "weight decay" else 0.0)


def make_model(net):
    return fastml.Sequential(make_layers(net), input_dim=net.widths[0], dtype=net.dtype, seed=1)


class Fastml(Session):
    """One call of `fit` for all epochs of a burst."""

    executor = "compiled"

    @staticmethod
    def library(threads):
        fastml.set_num_threads(threads)
        return f"fastml {fastml.__version__}"

    def __init__(self, net, x, y, start):
        super().__init__(net, x, y, start)
        self.model = make_model(net)
        self.restart()

    def restart(self):
        self.model.compile(make_optimizer(self.net), self.net.loss, executor=self.executor)
        self.model.set_weights(self.start)

    def train(self, epochs, shuffle=True):
        if self.net.optimizer == "gradient":
            self.gradients(epochs)
        else:
            shuffle = shuffle and not self.net.full_batch
            self.model.fit(self.x, self.y, self.net.batch, epochs, verbose=0, shuffle=shuffle)

    def gradients(self, epochs):
        """The table `gradient`, again and again: `Sequential.gradients` makes buffers and copies at each call."""
        net = self.net
        aim = {"loss": resolve_loss(net.loss), "optimizer": fastml.Adam()}  # whose update is not run
        program = lower(make_layers(net), net.widths[0], net.rows, net.dtype, **aim)
        buffers = Buffers.for_program(program, net.dtype)
        for parameter, values in zip(program.parameters, self.start, strict=True):
            parameter.view(buffers.params)[...] = values
        data = Data(net.dtype, self.x, self.y, epochs=epochs)
        run = Run(EXECUTORS[self.executor], program.gradient, buffers, data, net.steps, net.batch)
        run.advance(epochs)
        self.found = [parameter.view(buffers.grads).copy() for parameter in program.parameters]

    def weights(self):
        return self.found if self.net.optimizer == "gradient" else self.model.get_weights()


class NumPy(Fastml):
    """The reference that runs the same program in plain NumPy; its BLAS has the threads."""

    executor = "numpy"

    @staticmethod
    def library(threads):
        return f"NumPy {np.__version__}"
