"""What of an estimator belongs to one training of one network, and what a copy of it is to have that is but one."""

TRAINING = (  # attributes of one training
    "model_", "n_iter_", "t_", "loss_", "loss_curve_", "history_", "validation_scores_", "best_validation_score_",
    "best_loss_", "best_epoch_", "_patience",
)  # fmt: skip
LONE = {"n_ensemble": 1, "bootstrap": False, "oob_score": False, "warm_start": False, "verbose": False}  # parameters
