"""From a file to a table with types.

source   bytes of a file or standard input, unpacked, as UTF-8
layout   what separates the columns, where the header is
files    the rows, as text, or typed already in Parquet (parquet bounds its memory)
cells    what each column of text holds; numerals and moments know how numbers and dates are written
typed    the columns with types
"""
