"""What comes in: arrays, tables and their columns, weights of rows, statistics."""
