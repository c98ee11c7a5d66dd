"""A model as data: its program, how it becomes one, and what runs that: the reference in NumPy, and compiled code."""
