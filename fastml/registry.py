"""Registries: plain dicts from the name that users write to what it means."""

from fastml.keras_names import canonical, hint


class Wrapper:
    """What stands for a user's function or object, its `source`, where fastml has objects of its own."""

    source = None


def lookup(registry, name, kind):
    """The entry of a registry that a name means, or an error that says which names there are.

    Other names for the same, such as 'mse', are taken too; see `fastml.keras_names`. Raises TypeError if the name is no
    string, ValueError if the registry lacks it; `kind` says what is named.
    """
    if not isinstance(name, str):
        own = "; of your own, pass a function or an object, no class" if isinstance(name, type) else ""
        raise TypeError(f"{kind} must be a name, one of {', '.join(registry)}; got {type(name).__name__}{own}")
    name = canonical(name, registry)
    if name not in registry:
        told = hint(name, registry)
        raise ValueError(f"unknown {kind} '{name}'.{told} There are: {', '.join(sorted(registry))}")
    return registry[name]
