"""The weights of an engine: views, checks, and how they and the statistics of the data are overwritten."""

import math

import numpy as np

from fastml.data.arrays import as_array, convert
from fastml.data.statistics import shift_of
from fastml.layers import method_of
from fastml.process.signals import hold_interrupts


class WeightAccess:
    """The part of an `Engine` that hands weights out and takes them in."""

    def weights(self, params=None):
        """Views of the weights, in the order of the layers; where data are shifted, the mean is that of data before.

        `params` may be a copy of the parameters, whose weights they are then.
        """
        params = self.buffers.params if params is None else params
        weights = [parameter.view(params) for parameter in self.program.parameters]
        return weights if self.shift is None else [self.statistics()["mean"], *weights[1:]]

    def checked(self, weights):
        """Weights as arrays that fit, the first one in float64 where it is the mean of data; ValueError for others."""
        targets = self.weights()
        if len(weights) != len(targets):
            raise ValueError(f"weights must be {len(targets)} arrays, got {len(weights)}")
        arrays = [as_array(w, f"weights[{k}]") for k, w in enumerate(weights)]
        for k, (array, target) in enumerate(zip(arrays, targets, strict=True)):
            if array.shape != target.shape:
                raise ValueError(f"weights[{k}] has shape {array.shape}, but the model has {target.shape}")
        wide = [np.float64] * bool(method_of(self.layers))  # a mean may be what is subtracted before the cast
        dtypes = wide + [self.dtype] * len(arrays)
        arrays = [convert(a, f"weights[{k}]", dtypes[k]) for k, a in enumerate(arrays)]
        for k, (array, parameter) in enumerate(zip(arrays, self.program.parameters, strict=True)):
            if parameter.name == "variance" and (array < 0).any():
                raise ValueError(f"weights[{k}] is the variance of layer {parameter.layer}: it must not be negative")
        return arrays

    def set_weights(self, weights):
        """Overwrites all weights, or raises ValueError and leaves them."""
        arrays, wide = self.checked(weights), bool(method_of(self.layers))
        with hold_interrupts(), self.rest.visit():  # all or none
            shift = self.shift  # which the rows of a training under way have lost already
            if wide and self.run is None:
                shift = shift_of(*arrays[:2], self.dtype)
            if wide:
                arrays[0] = convert(arrays[0] - (0 if shift is None else shift), "weights[0]", self.dtype)
            self.own()
            for array, parameter in zip(arrays, self.program.parameters, strict=True):
                parameter.view(self.buffers.params)[...] = array
            self._shift_by(shift)
            self.loss, self.rest.touched = math.inf, True

    def _shift_by(self, shift):
        """Takes data from which this has been subtracted, from now on, with the parameters as they are from now on."""
        if shift is not None or self.shift is not None:
            self.inference = None  # whose predictors subtract the one before
        self.shift, self.fitted, self.rest.published = shift, True, None

    def names(self):
        """Names of the weights: the position of the layer, and its name in the layer."""
        return [f"{parameter.layer}.{parameter.name}" for parameter in self.program.parameters]

    def statistics(self):
        """Mean, float64, and scale of the columns, (d_in,), with which data are normalized; None if they are not."""
        if not (self.fitted and method_of(self.layers)):
            return None
        mean, scale = (parameter.view(self.buffers.params) for parameter in self.program.parameters[:2])
        return {"mean": mean.astype(np.float64) + (0.0 if self.shift is None else self.shift), "scale": scale}

    def adapt(self, statistics):
        """Normalizes data by these from now on, {"mean", "scale"} of `fastml.data.statistics`; None changes nothing."""
        if statistics:
            mean, scale = statistics["mean"], statistics["scale"]
            shift = shift_of(mean, scale, self.dtype)
            left = mean if shift is None else np.where(shift, 0, mean)
            with hold_interrupts(), self.rest.lock:
                self.own()
                for parameter, values in zip(self.program.parameters, (left, scale), strict=False):
                    parameter.view(self.buffers.params)[...] = values
                self._shift_by(shift)
