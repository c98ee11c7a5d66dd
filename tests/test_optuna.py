"""Optuna's studies with trainings side by side."""

import time

import numpy as np
import pytest

optuna = pytest.importorskip("optuna", reason="needs optuna, the extra optuna")

import fastml  # noqa: E402
from fastml import Dense, Sequential  # noqa: E402
from fastml.optuna import optimize  # noqa: E402
from fastml.training.side_by_side import SideBySide  # noqa: E402

X = np.random.default_rng(0).normal(size=(80, 3))
Y = X[:, :1] * X[:, 1:2]
optuna.logging.set_verbosity(optuna.logging.WARNING)
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def study(**options):
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), **options)


def objective(trial, callbacks=(), epochs=4):
    units, rate = trial.suggest_int("units", 2, 9), trial.suggest_float("rate", 1e-3, 1e-1, log=True)
    model = Sequential([Dense(units, "tanh"), Dense(1)], seed=1)
    model.compile(fastml.Adam(rate), "mse")
    history = model.fit(X, Y, epochs=epochs, callbacks=[make(trial) for make in callbacks], validation_split=0.2)
    return history.history["val_loss"][-1]


def told(of):
    return {trial.number: (trial.state.name, trial.params, trial.values) for trial in of.trials}


def test_trials_have_the_values_of_one_after_the_other(monkeypatch):
    widths, begin = [], SideBySide.begin

    def noted(self, training):
        widths.append(self.under_way)
        return begin(self, training)

    monkeypatch.setattr(SideBySide, "begin", noted)
    monkeypatch.setattr("fastml.program.threads.available", lambda: 2)
    alone, beside = study(), study()
    alone.optimize(objective, n_trials=20)
    optimize(beside, objective, 20, verbose=0)
    assert told(alone) == told(beside) and alone.best_params == beside.best_params
    assert len(widths) == 20 and max(widths) > 1


def test_one_thread_takes_trials_one_after_the_other():
    """However long one takes: each is asked for when the one before has been told."""

    def slow(trial):
        if trial.number == 0:
            time.sleep(0.2)
        assert sum(t.state.name == "RUNNING" for t in trial.study.get_trials(deepcopy=False)) == 1
        return objective(trial)

    alone, beside = study(), study()
    alone.optimize(objective, n_trials=6)
    optimize(beside, slow, 6, n_threads=1, verbose=0)
    assert told(alone) == told(beside)


def test_one_thread_repeats_a_study_whose_sampler_looks_at_results():
    found = []
    for _ in range(2):
        found.append(optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0, n_startup_trials=5)))
        optimize(found[-1], objective, 16, n_threads=1, verbose=0)
    assert told(found[0]) == told(found[1])


def test_pruning_ends_a_training_where_the_pruner_says():
    class Reports(fastml.Callback):
        def __init__(self, trial):
            self.trial = trial

        def on_epoch_end(self, epoch, logs):
            self.trial.report(logs["val_loss"], epoch)
            if self.trial.should_prune():
                raise optuna.TrialPruned

    found = study(pruner=optuna.pruners.ThresholdPruner(upper=0, n_warmup_steps=2))
    optimize(found, lambda trial: objective(trial, [Reports], epochs=9), 6, verbose=0)
    assert {trial.state.name for trial in found.trials} == {"PRUNED"}
    assert {trial.last_step for trial in found.trials} == {2}


def test_what_fails_is_a_failed_trial_and_told():
    def odd(trial):
        value = objective(trial)
        if trial.number % 3 == 1:
            raise ArithmeticError(f"as it were, {trial.number}")
        return value

    found = study()
    with pytest.warns(
        UserWarning, match=r"^3 of 9 trials failed; the first, number \d, by ArithmeticError: as it were"
    ):
        optimize(found, odd, 9, verbose=0)
    assert [trial.state.name for trial in found.trials] == ["COMPLETE", "FAIL", "COMPLETE"] * 3


def test_an_error_of_all_trials_is_raised():
    found = study()
    with pytest.raises(NameError, match="undefined"):
        optimize(found, lambda trial: undefined, 3, verbose=0)  # noqa: F821
    assert [trial.state.name for trial in found.trials] == ["FAIL"] * 3


def test_an_error_that_is_not_to_be_caught_ends_the_study():
    def odd(trial):
        objective(trial)
        if trial.number == 2:
            raise RuntimeError("as it were")
        return 0.0

    found = study()
    with pytest.raises(RuntimeError, match="as it were"):
        optimize(found, odd, 1000, catch=(ValueError,), verbose=0)
    assert len(found.trials) < 1000
    assert {trial.state.name for trial in found.trials} <= {"COMPLETE", "FAIL"} and found.trials[2].state.name == "FAIL"


@pytest.mark.filterwarnings("ignore:.*The value")
def test_values_that_are_none_fail_as_in_optuna():
    values = [float("nan"), None, "text", 1.0]
    found = study()
    with pytest.warns(UserWarning, match="3 of 4 trials failed; .* the objective returned (nan|None|'text'), but"):
        optimize(found, lambda trial: values[trial.number], 4, verbose=0)
    assert [trial.state.name for trial in found.trials] == ["FAIL", "FAIL", "FAIL", "COMPLETE"]
    with pytest.raises(ValueError, match="the objective returned None, but there must be a number"):
        optimize(study(), lambda trial: None, 3, verbose=0)


@pytest.mark.filterwarnings("ignore:.*The reported value is ignored")
@pytest.mark.parametrize("by", ["callback", "objective"])
def test_a_study_can_be_stopped(by):
    def stopping(trial):
        value = objective(trial)
        if by == "objective" and trial.number == 3:
            trial.study.stop()
        return value

    found = study()
    callbacks = [optuna.study.MaxTrialsCallback(4)] if by == "callback" else []
    optimize(found, stopping, 1000, callbacks=callbacks, verbose=0)
    assert 4 <= len(found.trials) < 30
    assert {trial.state.name for trial in found.trials} == {"COMPLETE"}
    optimize(found, objective, 3, verbose=0)  # which another call is free of
    assert len(found.trials) > 4


def test_an_error_of_a_callback_is_raised_as_it_is():
    def odd(of, trial):
        raise KeyError("as it were")

    found = study()
    with pytest.raises(KeyError, match="as it were"):
        optimize(found, objective, 20, callbacks=[odd], verbose=0)
    assert {trial.state.name for trial in found.trials} <= {"COMPLETE", "FAIL"}


def test_a_trial_may_have_been_told_by_the_objective():
    def told_by_itself(trial):
        value = objective(trial)
        trial.study.tell(trial, value)
        return value

    found = study()
    optimize(found, told_by_itself, 3, verbose=0)
    assert [trial.state.name for trial in found.trials] == ["COMPLETE"] * 3


def test_few_trials_are_under_way():
    most = []

    def counted(trial):
        most.append(sum(t.state.name == "RUNNING" for t in trial.study.get_trials(deepcopy=False)))
        return objective(trial)

    optimize(study(), counted, 30, n_threads=2, verbose=0)
    assert max(most) <= 2 * (fastml.get_num_threads() + 1)


def test_several_directions_and_callbacks():
    found, seen = study(directions=["minimize", "maximize"]), []
    optimize(found, lambda t: (objective(t), 1.0), 3, callbacks=[lambda of, t: seen.append((of, t.number))], verbose=0)
    assert sorted(number for _, number in seen) == [0, 1, 2] and seen[0][0] is found
    assert all(len(trial.values) == 2 for trial in found.trials)


def test_a_time_limit_ends_what_is_under_way():
    found, start = study(), time.perf_counter()
    optimize(found, lambda trial: objective(trial, epochs=3 if trial.number < 5 else 10**6), time_limit=1.0, verbose=0)
    assert time.perf_counter() - start < 30
    states = [trial.state.name for trial in found.trials]
    assert states[:5] == ["COMPLETE"] * 5 and set(states[5:]) == {"FAIL"}


def test_ctrl_c_leaves_no_trial_under_way():
    def odd(trial):
        objective(trial)
        if trial.number == 3:
            raise KeyboardInterrupt
        return 1.0

    found = study()
    with pytest.raises(KeyboardInterrupt):
        optimize(found, odd, 100, verbose=0)
    assert {trial.state.name for trial in found.trials} <= {"COMPLETE", "FAIL"}


def test_progress_is_shown(capsys):
    optimize(study(), objective, 3, verbose=1)
    assert "3/3 trials |" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (("study", objective, 3), TypeError, "study must be an optuna.Study, got str"),
        ((None, objective, 3), TypeError, "study must be an optuna.Study, got NoneType"),
        ((study(), 3, 3), TypeError, "objective must be a function of a trial, got int"),
        ((study(), objective), ValueError, "give n_trials, time_limit or both"),
        ((study(), objective, 0), ValueError, "n_trials must be"),
        ((study(), objective, 2.5), TypeError, "n_trials must be"),
    ],
)
def test_what_makes_no_study_is_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        optimize(*arguments)


def test_verbose_and_time_limits_are_checked():
    with pytest.raises(ValueError, match="give time_limit or timeout, not both"):
        optimize(study(), objective, timeout=1, time_limit=2)
    with pytest.raises(TypeError, match="catch must be a class of exceptions"):
        optimize(study(), objective, 3, catch=3)
    with pytest.raises(ValueError, match="n_threads must be"):
        optimize(study(), objective, 3, n_threads=0)
    with pytest.raises(ValueError, match="verbose must be 0, 1 or 'auto', got 2"):
        optimize(study(), objective, 3, verbose=2)
    with pytest.raises(ValueError, match="time_limit must be more than 0"):
        optimize(study(), objective, 3, time_limit=-1)
