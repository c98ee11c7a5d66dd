"""Shapes of what users' functions work on: rows are called n, columns d, as how many there are is not known.

An array of outputs has the shape ("n", "d"), weights of a layer ("d",), the losses of rows ("n",), a number ().
"""

ROWS, COLUMNS = "n", "d"
BY_AXES = {"nd": ("n", "d"), "n": ("n", 1), "d": (1, "d"), "": ()}  # shapes that broadcast with each other


def together(*shapes):
    """The shape that shapes broadcast to, as in NumPy."""
    size = max(map(len, shapes))
    found = []
    for sizes in zip(*((1,) * (size - len(shape)) + tuple(shape) for shape in shapes), strict=True):
        wide = {entry for entry in sizes if entry != 1}
        if len(wide) > 1:
            raise ValueError(
                f"shapes {' and '.join(shown(shape) for shape in shapes)} do not go together, where n are the rows and "
                "d the columns: keepdims=True keeps (n, 1)"
            )
        found.append(wide.pop() if wide else 1)
    return tuple(found)


def check_columns(what, least, there):
    """ValueError where a function takes a column by its number that is not there."""
    if there < least:
        raise ValueError(f"{what} takes one of {least} columns by its number, but there are {there}")


def shown(shape):
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
