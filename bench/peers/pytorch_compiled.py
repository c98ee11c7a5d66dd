"""PyTorch, compiled: the step, from gathering the rows to the gradients, is one graph for torch.compile.

Compiling only forward and loss, and then `backward`, or the eager step as it stands, is slower than eager on small
nets: each part that returns to Python costs tens of microseconds. With `torch.func.grad` and the update written out in
the graph, the call of the compiled step is the only one. On larger nets the fused Adam is faster than what the compiler
makes of that update, and is called apart.
"""

import shutil

import torch
from torch.func import functional_call

from bench.peers.pytorch import Eager, make_optimizer
from bench.peers.session import Skip

MANY = 50_000  # parameters, from which on the fused Adam is called apart


def adam(parameters, gradients, state):
    """PyTorch's Adam with lr 0.001. t : (1,) float64, a tensor so that nothing is compiled again when it changes; one
    without dimensions is not written to by the compiled code."""
    t, first, second = state
    t.add_(1)
    correction, correction_2 = (1 - 0.9**t).float(), (1 - 0.999**t).float()
    for name, W in parameters.items():
        dW, m, v = gradients[name], first[name], second[name]
        m.lerp_(dW, 0.1)
        v.mul_(0.999).addcmul_(dW, dW, value=0.001)
        W.sub_(0.001 * (m / correction) / ((v / correction_2).sqrt() + 1e-8))


def rprop(parameters, gradients, state):
    """PyTorch's Rprop with its default constants."""
    _, steps, previous = state
    for name, W in parameters.items():
        turned = gradients[name] * previous[name]
        factor = torch.where(turned > 0, 1.2, torch.where(turned < 0, 0.5, 1.0))
        steps[name].mul_(factor).clamp_(1e-6, 50)
        previous[name].copy_(torch.where(turned < 0, 0.0, gradients[name]))
        W.sub_(previous[name].sign() * steps[name])


def gradient(parameters, gradients, state):
    """No update: the gradients are kept."""
    for name, kept in state[1].items():
        kept.copy_(gradients[name])


class Compiled(Eager):
    def __init__(self, net, x, y, start):
        if shutil.which("g++") is None and shutil.which("clang++") is None:
            raise Skip("torch.compile needs a C++ compiler, and there is none")
        torch._dynamo.reset()
        super().__init__(net, x, y, start)
        update = None if self.apart else {"adam": adam, "rprop": rprop, "gradient": gradient}[net.optimizer]

        def loss(parameters, x, y):
            return self.loss(functional_call(self.module, parameters, (x,)), y)

        def step(rows):
            whole = self.net.full_batch
            x = self.x if whole else self.x.index_select(0, rows)
            y = self.y if whole else self.y.index_select(0, rows)
            gradients = torch.func.grad(loss)(self.parameters, x, y)
            if update is None:
                return gradients
            update(self.parameters, gradients, self.state)

        self.compiled = torch.compile(step, mode="default")

    def restart(self):
        names = [name for name, _ in self.module.named_parameters()]
        if not hasattr(self, "parameters"):
            self.parameters = {name: p.detach() for name, p in self.module.named_parameters()}
            self.apart = self.net.optimizer == "adam" and sum(p.numel() for p in self.parameters.values()) > MANY
            slots = [{name: torch.empty_like(p) for name, p in self.parameters.items()} for _ in range(2)]
            self.state = torch.zeros(1, dtype=torch.float64), *slots
        first, second = self.state[1:]
        self.state[0].zero_()
        for name, values in zip(names, self.start, strict=True):
            self.parameters[name].copy_(torch.from_numpy(values).t())
            first[name].fill_(0.01 if self.net.optimizer == "rprop" else 0)
            second[name].zero_()
        if self.apart:
            self.optimizer = make_optimizer(self.net, self.module.parameters())

    def step(self, rows):
        gradients = self.compiled(rows)
        if self.apart:
            for name, parameter in self.module.named_parameters():
                parameter.grad = gradients[name]
            self.optimizer.step()

    @torch.no_grad()
    def train(self, epochs, shuffle=True):
        for _ in range(epochs):
            if self.net.full_batch:
                self.step(None)
                continue
            order = torch.randperm(self.net.rows) if shuffle else torch.arange(self.net.rows)
            for rows in order.split(self.net.batch):
                self.step(rows)

    def weights(self):
        arrays = self.state[1] if self.net.optimizer == "gradient" else self.parameters
        return [array.t().numpy().copy() for array in arrays.values()]
