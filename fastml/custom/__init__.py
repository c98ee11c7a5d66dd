"""What users bring: functions of NumPy that become activations, losses, layers and updates, in both executors.

A function is traced (`tracing`): called once with arrays that note what is done to them. The Formula that comes out is
differentiated (`derivatives`), compiled (`fastml.kernels.custom`), and computed in NumPy by the reference (`formulas`).
"""


def called(thing):
    """What a user's function or object is called; a name is itself."""
    return thing if isinstance(thing, str) else getattr(thing, "__name__", None) or type(thing).__name__
