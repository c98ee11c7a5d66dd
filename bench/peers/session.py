"""What a rival is to the worker that runs it."""


class Skip(Exception):
    """A rival cannot do this net; the text says why."""


class Session:
    """A net of one library, ready to be trained.

    net : Net, x : (rows, d), y as `make_data` gives them, start : arrays [W, b, …], W : (d_in, d_out), b : (d_out,).
    """

    stride = 1  # epochs that a call of `train` should be a multiple of, to be measured at its best

    def __init__(self, net, x, y, start):
        self.net, self.x, self.y, self.start = net, x, y, start

    @staticmethod
    def library(threads):
        """Sets the number of threads, once in a process; returns name and version for the head of the table."""
        raise NotImplementedError

    def restart(self):
        """Back to the start weights, with a new state of the optimizer."""
        raise NotImplementedError

    def train(self, epochs, shuffle=True):
        """Trains on, and returns when done. The rows come in a new order in each epoch with `shuffle`, unless a batch
        is all of them."""
        raise NotImplementedError

    def weights(self):
        """The weights as arrays like those of `start`; for a net without updates, the gradients."""
        raise NotImplementedError
