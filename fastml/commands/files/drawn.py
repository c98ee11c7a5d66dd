"""What clients of databases, documents and loggers put between the rows of a text: rules, frames, counts, remarks."""

import re

from fastml.commands.figures import many

# A line of such signs, with two groups of them at least, or signs between columns
RULE = re.compile(rb"^[ \t]*(?=[^\n]*(?:[+|]|-[ \t]+-))[-+|=:][-+|=: \t]*[-=]{2}[-+|=: \t]*\r?$", re.MULTILINE)
COUNT = re.compile(rb"\(\d+ (row|record)s?( affected)?\)\s*$|\d+ (row|record)s? (in set|selected|affected)\b[^\n]*$")
HEAD = 2**12  # bytes, in which a rule is looked for, and at the end a count
REMARK = b"#"


def undrawn(data, notes):
    """The text of a drawn table without its rules and its frame; any other text as it is."""
    last = data[-HEAD:].rstrip().rpartition(b"\n")[2]
    if COUNT.match(last):
        notes.append(f"the last line left out, as it counts rows: {last.decode().strip()!r}")
        data = data.rstrip().removesuffix(last)
    if not RULE.search(data[:HEAD]):
        return data
    lines = [line for line in data.rstrip().split(b"\n") if not RULE.match(line)]
    filled = [line.strip() for line in lines if line.strip()]
    if all(len(line) > 1 and line.startswith(b"|") and line.endswith(b"|") for line in filled):
        lines = [line.strip()[1:-1] for line in lines]
    notes.append("the lines that are drawn between rows, and what stands around them, are left out")
    return b"\n".join(lines) + b"\n"


def without_remarks(data, found, notes):
    """A text without the lines within that begin with #, where these have not as many fields as there are columns."""
    if b"\n" + REMARK not in data or b'"' in data or len(found.names) < 2:
        return data
    lines, between = data.split(b"\n"), len(found.names) - 1
    sign = found.separator.encode()
    kept = [
        line
        for k, line in enumerate(lines)
        if k < found.skip or not line.startswith(REMARK) or line.count(sign) == between
    ]
    if len(kept) < len(lines):
        notes.append(f"{many(len(lines) - len(kept), 'line')} between rows left out, as they begin with #")
    return b"\n".join(kept)
