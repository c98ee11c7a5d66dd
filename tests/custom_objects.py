"""Functions and classes of a user, for tests: one of each kind, and some that are harder."""

import numpy as np

import fastml
from fastml import GradientDescent, Layer, Weights


def softsign(z):
    return z / (1 + np.abs(z))


def snake(z):
    return z + np.sin(z) ** 2


def elu(z):
    return np.where(z > 0, z, np.exp(z) - 1)  # overflows where z is large, in the branch that is not taken


def silu(z):
    return z / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def huber(y_true, y_pred):
    size = np.abs(y_pred - y_true)
    return np.where(size <= 1, size**2 / 2, size - 0.5)


def minus_cosine(y_true, y_pred):
    product = np.sum(y_true * y_pred, axis=-1)
    return -product / np.sqrt(np.sum(y_true**2, axis=-1) * np.sum(y_pred**2, axis=-1))


def first_column(y_true, y_pred):
    return (y_true[:, 0] - y_pred[:, 0]) ** 2 + np.mean(np.square(y_pred), axis=-1) + 0.1 * y_pred[..., -1] ** 2


class Pinball(fastml.Loss):
    def __init__(self, quantile=0.5):
        self.quantile = quantile

    def call(self, y_true, y_pred):
        error = y_true - y_pred
        return np.maximum(self.quantile * error, (self.quantile - 1) * error)


def worst_error(y_true, y_pred):
    return np.abs(y_true - y_pred).max()


def small(shape, generator):
    return generator.normal(size=shape) * 0.1


class Scale(Layer):
    def parameters(self, d_in):
        return [Weights("alpha", (d_in,), 1.5, "weight", fastml.L2(0.01))]

    def call(self, x, alpha):
        return x * alpha


class OwnNormalization(Layer):
    def __init__(self, epsilon=1e-5, **common):
        super().__init__(**common)
        self.epsilon = epsilon

    def parameters(self, d_in):
        return [Weights("gamma", (d_in,), "ones", "bias"), Weights("beta", (d_in,), "zeros", "bias")]

    def call(self, x, gamma, beta):
        centred = x - x.mean(axis=-1, keepdims=True)
        return gamma * centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self.epsilon) + beta


class Descent(GradientDescent):
    def __init__(self, learning_rate=0.05, alpha=1.0, **common):
        super().__init__(learning_rate, **common)
        self.alpha = alpha

    def step(self, W, dW, learning_rate):
        return W - learning_rate * self.alpha * dW


class OwnAdam(GradientDescent):
    start = (0.0, 0.0)

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8, **common):
        super().__init__(learning_rate, **common)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def step(self, W, dW, m, v, learning_rate, t):
        m = self.beta_1 * m + (1 - self.beta_1) * dW
        v = self.beta_2 * v + (1 - self.beta_2) * dW * dW
        m_hat, v_hat = m / (1 - self.beta_1**t), v / (1 - self.beta_2**t)
        return W - learning_rate * m_hat / (np.sqrt(v_hat) + self.epsilon), m, v


BY_NAME = {thing.__name__: thing for thing in (softsign, snake, elu, silu, softmax, huber, minus_cosine, first_column)}
BY_NAME |= {thing.__name__: thing for thing in (Pinball, worst_error, small, Scale, OwnNormalization)}
BY_NAME |= {thing.__name__: thing for thing in (Descent, OwnAdam)}
