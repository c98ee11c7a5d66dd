"""The table that `summary` prints."""

from helpers import make_model


def test_summary_counts_the_parameters(capsys):
    make_model(input_dim=5).summary()
    shown = capsys.readouterr().out
    assert "Dense(7, activation='tanh')" in shown
    assert "89 parameters" in shown  # 5·7 + 7  +  7·4 + 4  +  4·3 + 3
    assert "0.7 KiB as float64" in shown


def test_summary_before_the_width_is_known(capsys):
    make_model().summary()
    assert "not known yet" in capsys.readouterr().out
