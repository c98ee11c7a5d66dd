"""What surrounds a step: how long calls of little work take. Run from the root of the repository, also with PyTorch:

    .venv/bin/python -m bench.training.calls        or        .venv-peers/bin/python -m bench.training.calls

The net is 10-16-1, on 1000 rows, batches of 32, Adam, one thread. What the calls give is first compared with what `fit`
and the NumPy executor give. Best and median of bursts, in microseconds. PyTorch's step is `zero_grad`, forward, loss,
backward and `Adam(fused=True)` on tensors that are there; its prediction is in `inference_mode`.
"""

import os
import threading
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402

import fastml  # noqa: E402

BURSTS, SECONDS = 9, 0.05
EPOCHS = 100


def made(executor="compiled"):
    layers = [fastml.Dense(16, "relu"), fastml.Dense(1, "sigmoid")]
    model = fastml.Sequential(layers, input_dim=10, seed=1)
    model.compile("adam", "binary_crossentropy", executor=executor)
    return model


def data():
    random = np.random.default_rng(0)
    x = random.normal(size=(1000, 10)).astype("float32")
    return x, (x[:, :1] > 0).astype("float32")


def check(x, y):
    """AssertionError unless steps, gradients, predictions and evaluations are what other ways give."""
    model, other, reference = made(), made(), made("numpy")
    for k in range(0, 320, 32):
        model.train_on_batch(x[k : k + 32], y[k : k + 32])
        other.fit(x[k : k + 32], y[k : k + 32], verbose=0, shuffle=False)
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
    reference.set_weights(model.get_weights())
    np.testing.assert_allclose(model.predict(x), reference.predict(x), rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.evaluate(x, y), reference.evaluate(x, y), rtol=1e-5)
    for ours, theirs in zip(model.gradients(x, y)[1], reference.gradients(x, y)[1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def calls(x, y):
    """Pairs of a name and a function."""
    model, some, targets = made(), x[:32].copy(), y[:32].copy()
    out = model.gradients(some, targets)[1]
    row, answer = some[0].copy(), np.zeros(1, "float32")
    training = {"epochs": EPOCHS, "verbose": 0}
    split = {**training, "validation_split": 0.2}
    stopping = [fastml.EarlyStopping("val_loss", patience=EPOCHS, restore_best_weights=True)]

    def new():
        made().fit(some, targets, verbose=0)

    yield "fit of one batch of 32", lambda: model.fit(some, targets, verbose=0)
    yield "train_on_batch of 32", lambda: model.train_on_batch(some, targets)
    yield "gradients of 32", lambda: model.gradients(some, targets)
    yield "gradients of 32, out", lambda: model.gradients(some, targets, out=out)
    yield "predict of 32", lambda: model.predict(some)
    yield "predict of 1000", lambda: model.predict(x)
    yield "predict_one", lambda: model.predict_one(row)
    yield "predict_one, out", lambda: model.predict_one(row, answer)
    yield "evaluate of 1000", lambda: model.evaluate(x, y)
    yield f"fit, {EPOCHS} epochs", lambda: model.fit(x, y, **training)
    yield f"fit, {EPOCHS} epochs, a fifth to validate", lambda: model.fit(x, y, **split)
    yield f"fit, {EPOCHS} epochs, early stopping", lambda: model.fit(x, y, **split, callbacks=stopping)
    yield "a new model and its first fit", new
    yield from estimators(x, y)
    yield from pytorch(x, y)


def estimators(x, y):
    try:
        from fastml.sklearn import MLPClassifier
    except ImportError:
        return
    estimator, some, labels = MLPClassifier((16,)), x[:32], y[:32, 0].astype(int)
    estimator.partial_fit(some, labels, classes=[0, 1])
    yield "estimator, partial_fit of 32", lambda: estimator.partial_fit(some, labels)
    yield "estimator, predict of 1", lambda: estimator.predict(some[:1])


def pytorch(x, y):
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)
    net = torch.nn.Sequential(torch.nn.Linear(10, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
    optimizer, loss = torch.optim.Adam(net.parameters(), fused=True), torch.nn.BCEWithLogitsLoss()
    some, targets = torch.tensor(x[:32]), torch.tensor(y[:32])

    def gradients():
        optimizer.zero_grad()
        loss(net(some), targets).backward()

    def step():
        gradients()
        optimizer.step()

    def predict():
        with torch.inference_mode():
            return torch.sigmoid(net(some))

    yield "PyTorch, a step of 32", step
    yield "PyTorch, gradients of 32", gradients
    yield "PyTorch, prediction of 32", predict


def seconds(call, times):
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def two_threads(model, some, times=2000):
    """How many times as many predictions two threads of Python make in a second as one."""

    def work():
        for _ in range(times):
            model.predict(some)

    alone = seconds(work, 1)
    threads = [threading.Thread(target=work) for _ in range(2)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 2 * alone / (time.perf_counter() - start)


def main():
    fastml.set_num_threads(1)
    x, y = data()
    check(x, y)
    found = {name: (call, []) for name, call in calls(x, y)}
    for call, _ in found.values():
        call()
    for _ in range(BURSTS):
        for call, times in found.values():
            times.append(seconds(call, max(1, int(SECONDS / seconds(call, 1)))))
    print(f"{'':<42} {'best':>10} {'median':>10}  µs")
    for name, (_, times) in found.items():
        print(f"{name:<42} {1e6 * min(times):>10.2f} {1e6 * np.median(times):>10.2f}")
    wide = fastml.Sequential([fastml.Dense(256, "relu"), fastml.Dense(256, "relu"), fastml.Dense(10)], input_dim=64)
    wide.build()
    inputs = np.ones((32, 64), "float32")
    for name, model, rows in (("10-16-1", made(), x[:32]), ("64-256-256-10", wide, inputs)):
        ratio = np.median([two_threads(model, rows) for _ in range(5)])
        print(f"predict of 32 by two threads, {name}: {ratio:.2f} times as many a second as by one")


if __name__ == "__main__":
    main()
