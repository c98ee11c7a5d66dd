"""What `fit` shows while it runs."""

import pytest
from helpers import make_data, make_model


@pytest.mark.parametrize("verbose", [0, "auto"])
def test_silence(verbose, capfd):
    """Nothing where verbose is 0, or where nobody looks at a terminal."""
    x, y = make_data("mean_squared_error")
    make_model().fit(x, y, epochs=3, verbose=verbose)
    assert capfd.readouterr() == ("", "")


def test_a_line_an_epoch(capsys):
    x, y = make_data("mean_squared_error")
    history = make_model().fit(x, y, epochs=3, validation_split=0.2, verbose=2).history
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert f"loss {history['loss'][2]:.4f}" in lines[2] and f"val_loss {history['val_loss'][2]:.4f}" in lines[2]


def test_a_bar(capsys):
    x, y = make_data("mean_squared_error")
    history = make_model().fit(x, y, batch_size=10, epochs=3, verbose=1).history
    shown = capsys.readouterr()
    assert shown.out == ""
    last = shown.err.split("\r")[-1]
    assert "epoch 3/3" in last and "100%" in last and f"loss {history['loss'][2]:.4f}" in last


@pytest.mark.parametrize("verbose", [3, -1, "loud", None])
def test_verbose_that_is_refused(verbose):
    x, y = make_data("mean_squared_error")
    with pytest.raises(ValueError, match="verbose must be 0, 1, 2 or 'auto'"):
        make_model().fit(x, y, verbose=verbose)
