"""PyTorch, eager: tensors loaded beforehand, batches by index_select, fused Adam."""

import torch
from torch import nn
from torch.nn import functional

from bench.peers.nets import BINARY, CLASSES
from bench.peers.session import Session

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
LOSSES = {CLASSES: functional.cross_entropy, BINARY: functional.binary_cross_entropy_with_logits}


def make_module(net):
    layers = []
    for d_in, d_out in net.layers:
        layers += [nn.Linear(d_in, d_out, dtype=getattr(torch, net.dtype)), ACTIVATIONS[net.hidden]()]
    return nn.Sequential(*layers[:-1])


def make_optimizer(net, parameters):
    if net.optimizer == "rprop":
        return torch.optim.Rprop(parameters, lr=0.01, foreach=True)
    return torch.optim.Adam(parameters, lr=0.001, fused=True)


class Eager(Session):
    @staticmethod
    def library(threads):
        torch.set_num_threads(threads)
        return f"PyTorch {torch.__version__}"

    def __init__(self, net, x, y, start):
        super().__init__(net, torch.from_numpy(x), torch.from_numpy(y), start)
        self.module = make_module(net)
        self.loss = LOSSES.get(net.loss, functional.mse_loss)
        self.restart()

    def restart(self):
        with torch.no_grad():
            for parameter, values in zip(self.module.parameters(), self.start, strict=True):
                parameter.copy_(torch.from_numpy(values).t())
        self.optimizer = make_optimizer(self.net, self.module.parameters())

    def step(self, x, y):
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.module(x), y).backward()
        if self.net.optimizer != "gradient":
            self.optimizer.step()

    def train(self, epochs, shuffle=True):
        for _ in range(epochs):
            if self.net.full_batch:
                self.step(self.x, self.y)
                continue
            order = torch.randperm(self.net.rows) if shuffle else torch.arange(self.net.rows)
            for rows in order.split(self.net.batch):
                self.step(self.x.index_select(0, rows), self.y.index_select(0, rows))

    def weights(self):
        only_gradient = self.net.optimizer == "gradient"
        arrays = [p.grad if only_gradient else p.detach() for p in self.module.parameters()]
        return [array.t().numpy().copy() for array in arrays]
