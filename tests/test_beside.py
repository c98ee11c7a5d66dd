"""Beside a training: exceptions at any moment, predictions and copies by other threads, forks."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers import make_data, make_model, same_bits
from processes import TRAIN, report

from fastml import SGD, Callback, Dense, Normalization, Sequential
from fastml.process import forks

SIGNALS = pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX systems")
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

# Exceptions

STORM = (
    TRAIN
    + """
    class Stop(Exception):
        pass
    def stop(*_):
        raise KIND
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    expected, outcomes, rng = trained(), {}, np.random.default_rng()
    def attempt(name, work):
        try:
            work()
            name += " went on"
        except (Stop, SystemExit, TimeoutError, KeyboardInterrupt):
            name += " stopped"
        outcomes[name] = outcomes.get(name, 0) + 1
"""
)


@SIGNALS
@pytest.mark.parametrize("kind", ["Stop()", "SystemExit(3)", "TimeoutError()", "KeyboardInterrupt()"])
def test_an_exception_at_any_moment_stops_all_threads(kind):
    """From a handler of the user's: an alarm, a polite end, Ctrl-C. The next training is as ever."""
    found = report(
        STORM.replace("KIND", kind)
        + """
    for turn in range(25):
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0002, 0.05))
        attempt("fit", lambda: trained(epochs=10**6))
    print(json.dumps({"outcomes": outcomes, "same": trained() == expected}))
    """
    )
    assert found == {"outcomes": {"fit stopped": 25}, "same": True}


@SIGNALS
def test_exceptions_that_never_end():
    """One after the other, every half a millisecond, also while the first one unwinds; and during predictions."""
    found = report(
        STORM.replace("KIND", "Stop()")
        + """
    model, (x, y) = made(), data(5000)
    model.fit(x, y, verbose=0)
    before = model.predict(x)
    def storm(work):
        try:
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 0.02), 0.0005)
            try:
                work()
            finally:
                while True:
                    try:
                        signal.setitimer(signal.ITIMER_REAL, 0)
                        break
                    except Stop:
                        pass
        except Stop:
            raise
    for turn in range(15):
        attempt("fit", lambda: storm(lambda: trained(epochs=10**6)))
        attempt("predict", lambda: storm(lambda: [model.predict(x) for _ in range(200)]))
        attempt("evaluate", lambda: storm(lambda: [model.evaluate(x, y) for _ in range(200)]))
    same = trained() == expected and (model.predict(x) == before).all()
    print(json.dumps({"outcomes": outcomes, "same": bool(same), "busy": fastml.program.workers._pool.busy}))
    """
    )
    assert found["same"] and found["busy"] == 0
    assert found["outcomes"]["fit stopped"] == found["outcomes"]["predict stopped"] == 15


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_a_system_that_refuses_a_thread(allowed):
    """Those that there are do the work."""
    found = report(
        TRAIN
        + f"""
    start, count = fastml.program.workers._thread.start_new_thread, []
    def refuse(*arguments):
        count.append(1)
        if len(count) > {allowed}:
            raise RuntimeError("can't start new thread")
        return start(*arguments)
    alone = fastml.program.threads.available
    fastml.program.threads.available = lambda: 1
    expected = trained()
    fastml.program.threads.available = alone
    fastml.program.workers._thread.start_new_thread = refuse
    print(json.dumps([trained() == expected, trained() == expected, len(count)]))
    """
    )
    assert found[:2] == [True, True] and found[2] > allowed


@SIGNALS
def test_handlers_are_as_they_were_and_a_handler_that_raises_nothing_is_called():
    """Also one that a callback installs, which stays."""
    found = report(
        TRAIN
        + """
    calls = []
    def note(number, frame):
        calls.append(number)
    def later(number, frame):
        pass
    signal.signal(signal.SIGUSR1, note)
    class Install:
        def on_epoch_end(self, epoch, logs):
            signal.signal(signal.SIGUSR2, later)
            signal.raise_signal(signal.SIGUSR1)
            calls.append("epoch")
    trained(epochs=4, callbacks=[Install()])
    before = list(calls)
    timer = threading.Timer(0.05, signal.raise_signal, [signal.SIGUSR1])
    timer.start()
    trained(rows=30000, epochs=20)
    timer.join()
    print(json.dumps([before, len(calls) > len(before),
                      signal.getsignal(signal.SIGUSR1) is note, signal.getsignal(signal.SIGUSR2) is later]))
    """
    )
    calls, called, *kept = found
    assert calls == [signal.SIGUSR1, "epoch"] * 4 and called and kept == [True, True]


@SIGNALS
def test_trainings_in_other_threads_leave_signals_to_the_main_one():
    """With callbacks and validation rows, while the main thread trains; Ctrl-C stops that alone."""
    found = report(
        TRAIN
        + """
    class Look:
        def on_epoch_end(self, epoch, logs):
            pass
    signal.signal(signal.SIGINT, signal.default_int_handler)
    x, y = data(50)
    work = lambda: trained(epochs=20, callbacks=[Look()], validation_data=(x, y))
    expected, results, errors = work(), [], []
    def worker():
        try:
            results.append(work())
        except BaseException as error:
            errors.append(repr(error))
    threads = [threading.Thread(target=worker) for _ in range(20)]
    for thread in threads:
        thread.start()
    try:
        threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
        trained(epochs=10**6, callbacks=[Look()], validation_data=(x, y))
        errors.append("Ctrl-C was lost")
    except KeyboardInterrupt:
        pass
    for thread in threads:
        thread.join()
    print(json.dumps([errors, len(results), all(result == expected for result in results)]))
    """
    )
    assert found == [[], 20, True]


# Other threads, which see the model between two steps

STATES = (
    TRAIN
    + """
    import copy, pickle, tempfile
    import fastml.files.saving
    STEPS = 300
    x, y = data()
    def weights(model):
        return b"".join(w.tobytes() for w in model.get_weights())
    class Keep:
        # the weights and predictions after each step, of which an epoch here has one
        def set_model(self, model):
            self.model, self.weights, self.outputs = model, [weights(model)], [model.predict(x).tobytes()]
        def on_epoch_end(self, epoch, logs):
            self.weights.append(weights(self.model))
            self.outputs.append(self.model.predict(x).tobytes())
    def fresh():
        model = made()
        model.build(5)
        return model
    twin, keep = fresh(), Keep()
    twin.fit(x, y, len(x), STEPS, verbose=0, callbacks=[keep])
    class Slow:
        # makes the training last while others look
        def on_epoch_end(self, epoch, logs):
            time.sleep(0.0005)
"""
)


@pytest.mark.parametrize("slow", [False, True])
def test_predictions_beside_a_training_are_those_of_a_moment_of_it(slow):
    """Of several threads at once, during chunks as well as in the rests that callbacks take; and they do not wait."""
    found = report(
        STATES
        + f"""
    SLOW = {slow}
    outputs, rows, losses = set(keep.outputs), [o.hex() for o in keep.outputs], []
    seen, wrong, models = [], [], []
    def ask(model):
        while not done.is_set():
            out = model.predict(x).tobytes()
            seen.append(keep.outputs.index(out) if out in outputs else -1)
            model.predict_one(x[0].astype("float32"))
            model.evaluate(x, y)
    for turn in range(1 if SLOW else 8):
        model, done = fresh(), threading.Event()
        asking = [threading.Thread(target=ask, args=(model,)) for _ in range(3)]
        for thread in asking:
            thread.start()
        model.fit(x, y, len(x), STEPS, verbose=0, callbacks=[Slow()] if SLOW else [])
        done.set()
        for thread in asking:
            thread.join()
        models.append(weights(model) == keep.weights[-1])
    print(json.dumps([all(models), len(seen) > 10, min(seen), len(set(seen))]))
    """
    )
    same, asked, least, moments = found
    assert same and asked and least >= 0
    if slow:
        assert moments > 5, "they all saw the same weights"


def test_a_callback_may_wait_for_another_thread_that_uses_the_model():
    """Whatever that calls; what it changes counts from then on."""
    found = report(
        STATES
        + """
    class Wait:
        def on_epoch_end(self, epoch, logs):
            for call in calls:
                thread = threading.Thread(target=call)
                thread.start()
                thread.join(timeout=20)
                results.append(thread.is_alive())
    model, results, path = fresh(), [], tempfile.mktemp(suffix=".safetensors")
    calls = [lambda: model.predict(x), lambda: model.predict_one(x[0]), lambda: model.evaluate(x, y),
             lambda: model.gradients(x, y), lambda: model.get_weights(), lambda: model.save(path),
             lambda: copy.deepcopy(model), lambda: pickle.dumps(model), lambda: model.summary]
    model.fit(x, y, len(x), STEPS, verbose=0, callbacks=[Wait()])
    same = weights(model) == keep.weights[-1]
    def zero():
        model.set_weights([0 * w for w in model.get_weights()])
    calls = [zero]
    model.fit(x, y, len(x), 3, verbose=0, callbacks=[Wait()])
    os.remove(path)
    print(json.dumps([same, any(results), len(results), not any(w.any() for w in model.get_weights())]))
    """
    )
    assert found == [True, False, 9 * 300 + 3, True]


@pytest.mark.parametrize(
    "way",
    [
        "copy.deepcopy(model)",
        "pickle.loads(pickle.dumps(model))",
        "(model.save(path), fastml.load(path))[1]",
    ],
)
def test_a_copy_beside_a_training_is_of_one_moment(way):
    """Weights, counters and the optimizer's state: it trains on as the original did from there."""
    found = report(
        STATES
        + f"""
    fastml.training.run.CHUNK_SECONDS = 0.002  # so that there are many rests
    copies, path = [], tempfile.mktemp(suffix=".safetensors")
    def duplicate():
        while not done.is_set():
            copies.append({way})
    while len({{c._engine.updates for c in copies}}) < 5:
        model, done = fresh(), threading.Event()
        model.predict(x)
        thread = threading.Thread(target=duplicate)
        thread.start()
        model.fit(x, y, len(x), STEPS, verbose=0)
        done.set()
        thread.join()
    bad = []
    for twin in copies[:: max(1, len(copies) // 20)]:
        updates = twin._engine.updates
        whole = weights(twin) == keep.weights[updates]
        if updates < STEPS:
            twin.fit(x, y, len(x), STEPS - updates, verbose=0)
        bad.append(not (whole and weights(twin) == keep.weights[-1]))
    print(json.dumps([weights(model) == keep.weights[-1], sum(bad), len(copies)]))
    """
    )
    same, torn, copies = found
    assert same and torn == 0 and copies >= 5


def test_several_threads_train_one_model_one_after_the_other():
    found = report(
        STATES
        + """
    model = fresh()
    threads = [threading.Thread(target=lambda: model.fit(x, y, len(x), STEPS // 4, verbose=0)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(weights(model) == keep.weights[-1]))
    """
    )
    assert found is True


# Forks


@FORKS
@pytest.mark.parametrize("busy", ["fit", "predict", "save", "evaluate"])
def test_a_process_forked_beside_another_thread_works(busy):
    """Its weights are those of one moment, and it predicts, trains, copies and saves."""
    found = report(
        STATES
        + f"""
    model, stop, path = fresh(), threading.Event(), tempfile.mktemp(suffix=".safetensors")
    model.fit(x, y, len(x), 1, verbose=0)
    def fit():
        while not stop.is_set():
            model.fit(x, y, len(x), 50, verbose=0)
    def predict():
        while not stop.is_set():
            model.predict(x)
            model.predict_one(x[0])
    def save():
        while not stop.is_set():
            model.save(path)
    def evaluate():
        while not stop.is_set():
            model.evaluate(x, y)
    threads = [threading.Thread(target={busy}) for _ in range(2)]
    for thread in threads:
        thread.start()
    statuses, rng = [], np.random.default_rng()
    for _ in range(25):
        time.sleep(rng.uniform(0, 0.01))
        child = os.fork()
        if not child:
            signal.alarm(20)
            status = 1
            try:
                updates = model._engine.updates
                whole = updates > STEPS or weights(model) == keep.weights[updates]
                known = updates > STEPS or model.predict(x).tobytes() == keep.outputs[updates]
                model.predict_one(x[0])
                model.fit(x, y, len(x), 2, verbose=0)
                done = model._engine.updates == updates + 2
                copy.deepcopy(model).evaluate(x, y)
                other = trained()
                status = 0 if whole and known and done and other == expected else 2
            finally:
                os._exit(status)
        statuses.append(os.waitpid(child, 0)[1])
        if statuses[-1]:
            break
    stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps(statuses))
    """.replace("    statuses, rng", "    expected = trained()\n    statuses, rng")
    )
    assert found == [0] * 25


@FORKS
def test_a_callback_may_fork():
    """Parent and child both end the training."""
    found = report(
        STATES
        + """
    class Fork:
        def on_epoch_end(self, epoch, logs):
            if epoch == 7:
                self.child = os.fork()
    model, fork = fresh(), Fork()
    signal.alarm(60)
    model.fit(x, y, len(x), STEPS, verbose=0, callbacks=[fork])
    same = weights(model) == keep.weights[-1]
    if not fork.child:
        os._exit(0 if same else 1)
    print(json.dumps([same, os.waitpid(fork.child, 0)[1]]))
    """
    )
    assert found == [True, 0]


def test_a_model_may_be_compiled_for_another_loss_beside_evaluations():
    """Rows that were checked for one loss are not computed with another: labels are no rows of numbers."""
    found = report(
        """
    import json, threading
    import numpy as np
    import fastml
    x, labels = np.random.default_rng(0).normal(size=(400, 8)), np.arange(400) % 5
    model = fastml.Sequential([fastml.Dense(5)], seed=1, input_dim=8)
    losses = [("sparse_categorical_crossentropy", labels), ("mean_squared_error", np.eye(5)[labels])]
    expected = {}
    for loss, y in losses:
        model.compile("sgd", loss)
        expected[model.evaluate(x, y)] = loss
    stop, errors, seen = threading.Event(), [], []
    def ask(y):
        while not stop.is_set():
            try:
                seen.append(model.evaluate(x, y))
                model.gradients(x, y)
            except ValueError as error:
                if "y" not in str(error):
                    errors.append(repr(error))
            except BaseException as error:
                errors.append(repr(error))
    threads = [threading.Thread(target=ask, args=(y,)) for _, y in losses]
    for thread in threads:
        thread.start()
    for turn in range(400):
        model.compile("sgd", losses[turn % 2][0], metrics=["accuracy"] * (turn % 3 == 0))
    stop.set()
    for thread in threads:
        thread.join()
    losses_seen = {value[0] if isinstance(value, list) else value for value in seen}
    print(json.dumps([errors[:3], len(seen) > 0, losses_seen <= set(expected)]))
    """
    )
    assert found == [[], True, True]


# Single moments, that chance would seldom meet


def test_what_is_read_is_never_written_to():
    """However many read it: also an array that was published in a training which has ended since."""
    model = make_model(input_dim=5)
    model.build()
    rest, engine = model._rest, model._engine
    with rest.training(lambda: None):
        rest.asked = 1
        rest.pause(engine.buffers.params)
        results = in_threads([lambda: rest.read(engine)] * 2)
    first, second = results
    assert first is second is engine.buffers.params
    kept = second.copy()
    rest.give_back(first)
    model.set_weights([w + 1 for w in model.get_weights()])
    assert (second == kept).all()
    rest.give_back(second)
    with engine.reading() as third:
        kept = third.copy()
        model.set_weights([w + 1 for w in model.get_weights()])
        assert (third == kept).all()
    assert not rest.lent
    before = engine.buffers.params
    model.set_weights([w + 1 for w in model.get_weights()])
    assert engine.buffers.params is before, "nobody reads: no copy is made"


def in_threads(calls):
    """What functions return that are called in a thread of their own each."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


@SIGNALS
def test_weights_are_set_all_or_none(monkeypatch):
    """Also where a Ctrl-C comes in the middle."""
    model = make_model(input_dim=5)
    model.build()
    engine, before = model._engine, model.get_weights()
    own = engine.own

    def interrupted():
        own()
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(engine, "own", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.set_weights([w + 1 for w in before])
    assert same_bits(model.get_weights(), [w + 1 for w in before])


@SIGNALS
def test_ctrl_c_where_a_training_ends_lets_it_end():
    """While another thread looks at the model, for which the end waits."""
    model, inside, leave = make_model(), threading.Event(), threading.Event()
    x, y = make_data("mean_squared_error")
    model.fit(x, y, verbose=0)

    class Meet(Callback):
        def on_train_end(self, logs):
            threading.Thread(target=visit).start()
            inside.wait()
            threading.Timer(0.2, signal.raise_signal, [signal.SIGINT]).start()
            threading.Timer(0.6, leave.set).start()

    def visit():
        with model._rest.visit():
            inside.set()
            leave.wait()

    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, verbose=0, callbacks=[Meet()])
    assert not model._rest.busy and model._rest.trainer is None
    model.fit(x, y, verbose=0)


def test_statistics_that_are_set_during_a_training_meet_its_rows():
    """Which have lost the mean before already: the network sees what a new training would."""
    x, y = make_data("mean_squared_error")
    x[:, 1] = 1.7e9 + 60 * np.arange(len(x))
    models = [Sequential([Normalization(), Dense(3)], seed=1) for _ in range(2)]
    for model in models:
        model.compile(SGD(0.0))
        model.fit(x, y, verbose=0)
    moved = models[0].get_weights()
    moved[0] = moved[0] + 600.0

    class Move(Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 0:
                self.model.set_weights(moved)

    losses = models[0].fit(x, y, epochs=2, verbose=0, callbacks=[Move()]).history["loss"]
    models[1].set_weights(moved)
    expected = models[1].fit(x, y, verbose=0).history["loss"]
    assert losses[1] == pytest.approx(expected[0], rel=1e-4) and losses[1] != pytest.approx(losses[0], rel=1e-2)
    assert models[0].predict(x[:20]) == pytest.approx(models[1].predict(x[:20]), rel=1e-3, abs=1e-3)


@FORKS
def test_a_child_of_another_thread_hears_ctrl_c():
    """Though the main thread of its parent was training, and held it back."""
    found = report(
        TRAIN
        + """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    statuses = []
    def fork():
        for _ in range(5):
            child = os.fork()
            if not child:
                signal.alarm(20)
                try:
                    os.kill(os.getpid(), signal.SIGINT)
                    time.sleep(5)
                    os._exit(1)
                except KeyboardInterrupt:
                    os._exit(0)
            statuses.append(os.waitpid(child, 0)[1])
        done.set()
    done = threading.Event()
    thread = threading.Thread(target=fork)
    class Until:
        def set_model(self, model):
            self.model = model
        def on_chunk_end(self):
            self.model.stop_training = done.is_set()
    thread.start()
    trained(epochs=10**6, callbacks=[Until()])
    thread.join()
    print(json.dumps(statuses))
    """
    )
    assert found == [0] * 5


@FORKS
def test_an_alarm_while_a_fork_waits_is_neither_lost_nor_does_it_hurry_the_fork():
    found = report(
        TRAIN
        + """
    class Alarm(Exception):
        pass
    def alarm(*_):
        raise Alarm
    signal.signal(signal.SIGALRM, alarm)
    model = made()
    model.build(5)
    inside = threading.Event()
    def visit():
        with model._rest.visit():
            inside.set()
            time.sleep(0.5)
    thread = threading.Thread(target=visit)
    thread.start()
    inside.wait()
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    start, raised, child = time.perf_counter(), False, None
    try:
        child = os.fork()
        if not child:
            os._exit(0 if model._rest.lock.acquire(blocking=False) else 1)
        waited = time.perf_counter() - start
        time.sleep(1)
    except Alarm:
        raised = True
    thread.join()
    print(json.dumps([raised, waited > 0.3, os.waitpid(child, 0)[1], model.predict(data()[0]).shape[0]]))
    """
    )
    assert found == [True, True, 0, 300]


def test_what_joins_forks_is_forgotten_without_a_line_of_python():
    """In a callback of a weak reference, the exception of a signal's handler would be dropped."""
    for _ in range(200):
        forks.Lock()
    assert all(reference.__callback__ is None for reference in forks._members)
    living = sum(reference() is not None for reference in forks._members)
    assert len(forks._members) <= 2 * max(forks._pruned, living) + 1 < 2 * living + 100


@FORKS
def test_copies_and_forks_at_once():
    """Neither waits for a lock of the other's: a copy is made while the model rests, which a fork waits for."""
    code = """
    import copy
    model, ended = made(), False
    model.build(5)
    def copies():
        while not ended:
            copy.deepcopy(model)
    thread = threading.Thread(target=copies)
    thread.start()
    for _ in range(100):
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
    ended = True
    thread.join()
    print(json.dumps("done"))
    """
    assert report(TRAIN + code, timeout=60) == "done"
