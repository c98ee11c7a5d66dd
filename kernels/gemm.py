"""Matrix products. All run along rows of the result, so that every inner loop reads and writes contiguous memory."""

from numba import njit

# "contract" allows fused multiply-add. Sums keep the order in which they are written.


@njit(error_model="numpy", fastmath={"contract"})
def matmul_add(a, b, c):
    """c += a·b

    a : (n, k), b : (k, d), c : (n, d). Four terms at a time: one load and store of c for four multiply-adds.
    """
    n, k = a.shape
    d = b.shape[1]
    for i in range(n):
        for p in range(0, k - 3, 4):
            a0, a1, a2, a3 = a[i, p], a[i, p + 1], a[i, p + 2], a[i, p + 3]
            for j in range(d):
                c[i, j] += a0 * b[p, j] + a1 * b[p + 1, j] + a2 * b[p + 2, j] + a3 * b[p + 3, j]
        for p in range(k - k % 4, k):
            a0 = a[i, p]
            for j in range(d):
                c[i, j] += a0 * b[p, j]


@njit(error_model="numpy", fastmath={"contract"})
def matmul_transposed(a, b, c):
    """c = aᵀ·b

    a : (n, k), b : (n, d), c : (k, d). Overwrites c.
    """
    n, k = a.shape
    d = b.shape[1]
    for p in range(k):
        for j in range(d):
            c[p, j] = 0
        for i in range(0, n - 3, 4):
            a0, a1, a2, a3 = a[i, p], a[i + 1, p], a[i + 2, p], a[i + 3, p]
            for j in range(d):
                c[p, j] += a0 * b[i, j] + a1 * b[i + 1, j] + a2 * b[i + 2, j] + a3 * b[i + 3, j]
        for i in range(n - n % 4, n):
            a0 = a[i, p]
            for j in range(d):
                c[p, j] += a0 * b[i, j]


@njit(error_model="numpy")
def transpose(a, at):
    """at = aᵀ

    a : (n, d), at : (d, n). Overwrites at.
    """
    n, d = a.shape
    for j in range(d):
        for i in range(n):
            at[j, i] = a[i, j]
