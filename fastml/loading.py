"""Models from files for predictions alone."""

import os

from fastml import saving
from fastml.sequential import Sequential


def load_predictor(path: str | os.PathLike):
    """What predicts of the estimator in a file, without scikit-learn: for services, where `load` gives the estimator.

    It has `predict`, `predict_one`, and of a classifier `predict_proba` and `predict_proba_one`, with the same answers;
    see `fastml.trained.TrainedModel`. The file is checked as `load` does. Of a file that `Sequential.save` wrote it is
    the Sequential. Raises `ModelFileError` where the file is none.
    """
    return saving.load(path, Sequential, trained=True)
