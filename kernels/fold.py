"""Loops in LLVM IR whose values stay in registers from turn to turn."""

from fastml.kernels.simd import INDEX


def fold(builder, count, start, body, unroll=1):
    """Repeats ``values = body(index, values)`` for index 0 … count - 1; returns the last values, kept in registers.

    A turn of the loop is `unroll` of them; those that are left are turns of their own.
    """
    index = INDEX(0)
    if unroll > 1:
        whole = builder.and_(count, INDEX(-unroll))
        index, start = counted(builder, index, whole, start, body, unroll)
    return counted(builder, index, count, start, body, 1)[1]


def counted(builder, begin, end, start, body, unroll):
    """The loop of `fold` from one index to another: the index where it ends, and the last values."""
    before = builder.block
    loop, after = builder.append_basic_block("fold"), builder.append_basic_block("folded")
    builder.cbranch(builder.icmp_signed("<", begin, end), loop, after)
    builder.position_at_end(loop)
    index = builder.phi(INDEX)
    carried = [builder.phi(value.type) for value in start]
    results = carried
    for k in range(unroll):
        results = body(builder.add(index, INDEX(k)) if k else index, results)
    following = builder.add(index, INDEX(unroll))
    last = builder.block
    for phi, first, value in zip([index, *carried], [begin, *start], [following, *results], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(value, last)
    builder.cbranch(builder.icmp_signed("<", following, end), loop, after)
    builder.position_at_end(after)
    finals = []
    for first, value in zip([begin, *start], [following, *results], strict=True):
        phi = builder.phi(value.type)
        phi.add_incoming(first, before)
        phi.add_incoming(value, last)
        finals.append(phi)
    return finals[0], finals[1:]
