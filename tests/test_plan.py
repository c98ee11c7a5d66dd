"""The plan of a step: blocks and shards by the model and the batch, threads by the work."""

import inspect

import pytest

from fastml.kernels.slices import LINE
from fastml.program import plan
from fastml.program.plan import LEAST, MOST, SHARDS, SHARDS_BYTES, SHARE, WHOLE, WORTH, Plan, make_plan

ROWS = [1, 15, 16, 17, 100, 2 * SHARE - 1, 2 * SHARE, 2 * SHARE + 1, 3000, 60_000, 10**6]
ROW_BYTES = [1, 40, 1000, 10_000, 10**6]
PARAMS_BYTES = [0, 64, 10**6, SHARDS_BYTES // 2, SHARDS_BYTES, 10**9]


@pytest.fixture
def threads(monkeypatch):
    """Sets how many threads models may use."""

    def choose(count, shared=1e6):
        monkeypatch.setattr(plan, "get_num_threads", lambda: count)
        monkeypatch.setattr(plan, "SHARED", shared)

    return choose


def test_by_default_a_batch_is_whole_and_in_one_thread():
    assert WHOLE == Plan(block=0, shards=1, threads=1)


@pytest.mark.parametrize("rows", ROWS)
def test_blocks_and_shards_do_not_depend_on_the_threads(rows, threads):
    """Else the numbers would be added in another order, and a machine with more CPUs would give other weights."""
    for row_bytes in ROW_BYTES:
        for params_bytes in PARAMS_BYTES:
            for alone in (True, False):
                found = set()
                for count in (1, 2, 3, 16, 200):
                    threads(count, shared=1e-9)
                    found.add(make_plan(rows, row_bytes, params_bytes, 1000, alone)[:2])
                assert len(found) == 1


@pytest.mark.parametrize("rows", ROWS)
def test_blocks(rows, threads):
    """Of many rows that do not influence each other; whole cache lines, few enough to stay in a cache."""
    threads(1)
    for row_bytes in ROW_BYTES:
        for params_bytes in PARAMS_BYTES:
            assert make_plan(rows, row_bytes, params_bytes, 1000, alone=False)[:2] == (0, 1)
            block, shards, _ = make_plan(rows, row_bytes, params_bytes, 1000, alone=True)
            few = rows < 2 * SHARE or 2 * params_bytes > SHARDS_BYTES
            if few or rows * row_bytes < WORTH * params_bytes:
                assert (block, shards) == (0, 1)
                continue
            assert block % LINE == 0 and block <= MOST and shards == 1 << shards.bit_length() - 1
            assert LEAST <= block or block >= rows / shards
            assert block == LEAST or block * row_bytes <= plan.CACHED or block <= rows / shards + LINE
            assert 2 <= shards <= min(SHARDS, -(-rows // block), rows // SHARE)
            assert shards * params_bytes <= SHARDS_BYTES


def test_plans_by_hand(threads):
    threads(1)
    assert make_plan(4096, 1024, 1000, 1, True) == (128, 16, 1)
    assert make_plan(127, 1024, 1000, 1, True) == (0, 1, 1)
    assert make_plan(128, 1, 10, 1, True) == (64, 2, 1)
    assert make_plan(200, 1, 16, 1, True) == (112, 2, 1)  # blocks as long as a shard
    assert make_plan(256, 1, 21, 1, True) == (64, 4, 1)
    assert make_plan(10_000, 440, 3072, 1, True) == (288, 16, 1)
    assert make_plan(256, 1, 22, 1, True) == (0, 1, 1)  # the rows are less than twelve times the weights
    assert make_plan(10**6, 10**4, SHARDS_BYTES // 4, 1, True) == (128, 4, 1)
    assert make_plan(10**6, 10**4, SHARDS_BYTES, 1, True) == (0, 1, 1)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_threads_are_as_many_as_the_work_is_worth(count, threads):
    """Each has a share of rows, or a shard, of its own."""
    threads(count, shared=1e6)
    assert make_plan(64, 100, 100, 1000, True).threads == 1  # 64 000 operations
    assert make_plan(64, 100, 100, 10**6, True).threads == min(count, 4)
    assert make_plan(1000, 100, 100, 299, True).threads == 1
    assert make_plan(1000, 100, 100, 300, True).threads == min(count, 2)
    assert make_plan(1000, 100, 100, 2999, True).threads == min(count, 2)
    assert make_plan(1000, 100, 100, 3000, True).threads == min(count, 3)
    assert make_plan(15, 100, 100, 10**9, True).threads == 1
    assert make_plan(16 * 8, 100, 100, 10**9, False).threads == count
    assert make_plan(384, 1000, 1000, 10**9, True).threads == min(count, 4)  # its shards


def test_threads_are_not_woken_for_little_work(threads):
    """A single step takes less time than it takes a thread to wake, unless it is worth a thread of its own."""
    threads(8, shared=1e6)
    for rows_flops in (300, 1000, 1999):
        assert make_plan(1000, 100, 100, rows_flops, True, once=True).threads == 1
        assert make_plan(1000, 100, 100, rows_flops, True).threads == 2
    assert make_plan(1000, 100, 100, 2000, True, once=True).threads == 2


def test_a_plan_goes_into_a_job_by_its_names():
    from fastml.kernels.job import JOB

    assert set(Plan._fields) <= set(JOB.names)
    assert list(inspect.signature(make_plan).parameters)[0] == "rows"
