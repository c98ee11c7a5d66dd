"""Weights of the rows: how much each counts in the loss, given for rows or for classes."""

import numbers

import numpy as np

from fastml.data.arrays import as_array, convert


def as_row_weights(weights, name, rows):
    """Weights as float64 (rows,), finite and not negative, or None; TypeError or ValueError otherwise."""
    if weights is None:
        return None
    array = as_array(weights, name)
    if array.shape not in ((rows,), (rows, 1)):
        raise ValueError(f"{name} must have one weight for each of the {rows} rows: shape ({rows},), got {array.shape}")
    array = convert(array, name, np.float64).reshape(rows)
    if (array < 0).any():
        row = int(np.argmax(array < 0))
        raise ValueError(f"{name} holds {array[row]:g} at row {row}: weights must not be negative")
    return array


def class_numbers(y, loss, name):
    """The class of each row of the targets y, as the model takes them; ValueError where rows have no class."""
    if loss.targets == "labels":
        return y[:, 0].astype(np.int64)
    if loss.targets == "distributions":
        return y.argmax(axis=1)
    if loss.targets == "probabilities" and y.shape[1] == 1:
        return (y[:, 0] > 0.5).astype(np.int64)
    reason = "a row has several labels" if loss.targets == "probabilities" else "its targets are numbers, not classes"
    raise ValueError(f"class_weight does not go with {name}: {reason}. Weigh rows with sample_weight instead")


def class_weights(class_weight, y, loss, name, units):
    """The weight of each row from that of its class, float64 (rows,).

    A dict from class number to weight, 1 for classes that it lacks, or "balanced": rows / (classes · rows of the
    class), as in scikit-learn.
    """
    classes = class_numbers(y, loss, name)
    count = max(2, units)
    if isinstance(class_weight, str) and class_weight == "balanced":
        rows = np.bincount(classes, minlength=count)
        return (len(classes) / (np.count_nonzero(rows) * np.maximum(rows, 1)))[classes]
    if not isinstance(class_weight, dict):
        raise TypeError(f"class_weight must be a dict from class number to weight, or 'balanced', got {class_weight!r}")
    weights = np.ones(count)
    for number, weight in class_weight.items():
        whole = isinstance(number, numbers.Real) and not isinstance(number, bool) and number == int(number)
        if not whole or not 0 <= number < count:
            raise ValueError(f"class_weight has the class {number!r}, but the classes are 0 to {count - 1}")
        if isinstance(weight, bool) or not isinstance(weight, numbers.Real) or not 0 <= weight < np.inf:
            raise ValueError(f"class_weight of class {number} must be a number from 0 on, got {weight!r}")
        weights[int(number)] = weight
    return weights[classes]


def with_mean_one(weights, name, dtype):
    """The weights over their mean, as (rows, 1) of dtype; ValueError where all are 0."""
    largest = weights.max()
    if largest == 0:
        raise ValueError(f"{name} is 0 for every row: the loss would be 0 / 0")
    weights = weights / largest  # whose sum cannot overflow
    return (weights / weights.mean()).astype(dtype).reshape(-1, 1)
