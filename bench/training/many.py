"""Many nets in one call: `fit_many` beside a loop over `fit`, scikit-learn with joblib, and vmap of PyTorch and JAX.

Run from the root of the repository, also with the other libraries:

    .venv/bin/python -m bench.training.many        or        .venv-peers/bin/python -m bench.training.many

First it checks that nets are, bit for bit, those that train alone. Then, the best and the median of turns: 1000 nets
10-16-1 on 1000 rows, 20 epochs of batches of 32, Adam; 100 nets 64-128-10 on the digits, by one thread and by two; and
what a net costs beyond its steps, from trainings of one epoch and of more. The others train some of the nets, or all
for some of the epochs, told as the time of all. What vmap trains has one architecture and one batch size, and all nets
take the same number of steps.
"""

import os
import time
import warnings

for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402

import fastml  # noqa: E402

TURNS = 5
NETS, ROWS, EPOCHS, BATCH = 1000, 1000, 20, 32
FEW = 40  # nets of the slow ones


def net(seed, widths=(10, 16, 1), loss="binary_crossentropy"):
    layers = [fastml.Dense(widths[1], "relu"), fastml.Dense(widths[2], "sigmoid" if widths[2] == 1 else "softmax")]
    model = fastml.Sequential(layers, input_dim=widths[0], seed=seed)
    model.compile("adam", loss)
    return model


def digit_net(seed):
    return net(seed, (64, 128, 10), "sparse_categorical_crossentropy")


def data():
    x = np.random.default_rng(0).normal(size=(ROWS, 10)).astype("float32")
    return x, (x[:, :1] + x[:, 1:2] ** 2 > 0.5).astype("float32")


def check(make, x, y):
    """AssertionError unless nets that are trained together are those that train alone, whatever the threads."""
    for threads in (1, 2):
        results = fastml.fit_many(map(make, range(20)), x, y, epochs=3, n_threads=threads)
        for seed in (0, 7, 19):
            alone = make(seed)
            alone.fit(x, y, epochs=3, verbose=0)
            for ours, theirs in zip(results[seed].model.get_weights(), alone.get_weights(), strict=True):
                assert np.array_equal(ours, theirs)


def loop(x, y):
    for seed in range(NETS // 5):
        net(seed).fit(x, y, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    return 5


def many(threads, count=NETS, epochs=EPOCHS, make=net):
    def run(x, y):
        results = fastml.fit_many(map(make, range(count)), x, y, epochs=epochs, n_threads=threads)
        assert len(results.finished) == count
        return NETS / count

    return run


def scikit(x, y):
    from joblib import Parallel, delayed
    from sklearn.neural_network import MLPClassifier

    def one(seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options = {"max_iter": EPOCHS, "batch_size": BATCH, "tol": 0, "n_iter_no_change": EPOCHS}
            return MLPClassifier((16,), random_state=seed, **options).fit(x, y.ravel()).coefs_

    Parallel(n_jobs=2)(delayed(one)(seed) for seed in range(FEW))
    return NETS / FEW


def pytorch(x, y):
    """All nets at once: stacked weights, and a batch of its own for each."""
    import torch

    x, y, generator = torch.tensor(x), torch.tensor(y[:, 0]), torch.Generator().manual_seed(0)
    shapes = (10, 16), (16,), (16, 1), (1,)
    params = [torch.randn(NETS, *shape, generator=generator) * 0.3 for shape in shapes]
    params = [p.requires_grad_() for p in params]

    def forward(W1, b1, W2, b2, rows):
        return (torch.relu(rows @ W1 + b1) @ W2 + b2)[:, 0]

    every, optimizer = torch.func.vmap(forward), torch.optim.Adam(params, 0.001, fused=True)
    loss_of = torch.nn.BCEWithLogitsLoss()
    epochs = 2
    for _ in range(epochs):
        order = torch.rand(NETS, ROWS, generator=generator).argsort(dim=1)
        for start in range(0, ROWS, BATCH):
            some = order[:, start : start + BATCH]
            optimizer.zero_grad()
            (loss_of(every(*params, x[some]), y[some]) * NETS).backward()
            optimizer.step()
    return EPOCHS / epochs


def make_jax(x, y):
    """The same by JAX, an epoch of all nets in a compiled scan."""
    import jax
    from jax import numpy as jnp

    x, y, steps = jnp.asarray(x), jnp.asarray(y[:, 0]), ROWS // BATCH
    shapes = (10, 16), (16,), (16, 1), (1,)
    params = [jax.random.normal(jax.random.key(k), (NETS, *shape)) * 0.3 for k, shape in enumerate(shapes)]

    def loss(params, rows, targets):
        W1, b1, W2, b2 = params
        z = (jnp.maximum(rows @ W1 + b1, 0) @ W2 + b2)[:, 0]
        return (jnp.logaddexp(0, z) - targets * z).mean()

    gradient = jax.vmap(jax.grad(loss))

    def step(state, some):
        params, first, second, t = state
        found, t = gradient(params, x[some], y[some]), t + 1
        first = [0.9 * m + 0.1 * g for m, g in zip(first, found, strict=True)]
        second = [0.999 * v + 0.001 * g * g for v, g in zip(second, found, strict=True)]
        scaled = zip(params, first, second, strict=True)
        params = [p - 0.001 * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-7) for p, m, v in scaled]
        return (params, first, second, t), None

    @jax.jit
    def epoch(state, key):
        order = jax.vmap(lambda k: jax.random.permutation(k, ROWS))(jax.random.split(key, NETS))
        batches = order[:, : steps * BATCH].reshape(NETS, steps, BATCH).swapaxes(0, 1)
        return jax.lax.scan(step, state, batches)[0]

    zeros = [jnp.zeros_like(p) for p in params]
    start = params, zeros, zeros, 0.0

    def run(x, y):
        epochs, state = 2, start
        for k in range(epochs):
            state = epoch(state, jax.random.key(k))
        jax.block_until_ready(state)
        return EPOCHS / epochs

    return run


def rivals(x, y):
    yield "fit_many, two threads", many(2)
    yield "fit_many, one thread", many(1)
    yield "a loop over fit", loop
    for name, make in (
        ("scikit-learn, joblib, two processes", lambda: scikit),
        ("PyTorch, vmap", lambda: pytorch),
        ("JAX, vmap", lambda: make_jax(x, y)),
    ):
        try:
            run = make()
            run(x, y)
        except ImportError:
            continue
        yield name, run


def seconds(run, x, y):
    """Seconds for all nets and epochs, of which `run` has done the share that it tells."""
    start = time.perf_counter()
    share = run(x, y)
    return share * (time.perf_counter() - start)


def in_turns(runs, x, y):
    """Best and median of the seconds of each, and the median of the ratios of the first two."""
    found = [[seconds(run, x, y) for run in runs] for _ in range(TURNS)]
    best, middle = np.min(found, axis=0), np.median(found, axis=0)
    return best, middle, np.median([times[1] / times[0] for times in found]) if len(runs) > 1 else 1.0


def main():
    fastml.set_num_threads(2)
    x, y = data()
    check(net, x, y)
    names, runs = zip(*rivals(x, y), strict=True)
    best, middle, _ = in_turns(runs, x, y)
    print(f"{'1000 nets 10-16-1, 1000 rows, 20 epochs of batches of 32':<60} {'best':>8} {'median':>8}  s")
    for name, one, other in zip(names, best, middle, strict=True):
        print(f"  {name:<58} {one:>8.2f} {other:>8.2f}")

    digits = fastml.load_digits()
    check(digit_net, *digits)
    runs = many(2, 100, make=digit_net), many(1, 100, make=digit_net)
    best, middle, ratio = in_turns(runs, *digits)
    print(f"100 nets 64-128-10 on the digits, 20 epochs: two threads {best[0] / 10:.2f} s, one {best[1] / 10:.2f} s")
    print(
        f"  times as many a second by two threads: {best[1] / best[0]:.2f} at best, {ratio:.2f} in the median of turns"
    )

    runs = many(1, 200, 1), many(1, 200, 11)
    best, middle, _ = in_turns(runs, x, y)
    epoch = (best[1] - best[0]) / 10 / NETS
    print(f"a net costs {1e3 * (best[0] / NETS - epoch):.2f} ms beyond its steps; an epoch takes {1e3 * epoch:.3f} ms")
    start = time.perf_counter()
    for seed in range(NETS):
        net(seed)
    print(f"  of which the making of the model {1e3 * (time.perf_counter() - start) / NETS:.2f} ms")


if __name__ == "__main__":
    main()
