"""The figures of `fastml.plots`."""

import io

import matplotlib
from matplotlib._pylab_helpers import Gcf
from matplotlib.figure import Figure


class Shown(Figure):
    """A figure that a notebook shows once.

    pyplot shows there, at the end of a cell, all figures that have been made in it. One that the cell returns as well
    would be shown twice.
    """

    def _ipython_display_(self):
        from IPython import get_ipython
        from IPython.display import display

        managers = [manager for manager in Gcf.get_all_fig_managers() if manager.canvas.figure is self]
        if managers and "inline" not in matplotlib.get_backend():
            return  # it has a window or a widget
        data, metadata = {}, {}
        for kind, formatter in get_ipython().display_formatter.formatters.items():
            found = formatter(self)
            if isinstance(found, tuple):
                data[kind], metadata[kind] = found
            elif found is not None:
                data[kind] = found
        if not any(kind.startswith("image/") for kind in data):
            self.savefig(held := io.BytesIO(), format="png")
            data["image/png"] = held.getvalue()
        display(data, metadata=metadata, raw=True)
        for manager in managers:
            Gcf.destroy(manager)
