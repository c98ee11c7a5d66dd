"""The machine code of the executor: registers as wide as they should be, and sums that stay in them."""

import platform
import re

import pytest
from assembly import assembly, functions

from fastml.kernels.cpu import BITS, cpu_features
from fastml.kernels.tiling import ROWS, VECTORS
from fastml.program.compiled import DTYPES

X86 = platform.machine().lower() in ("x86_64", "amd64")
pytestmark = pytest.mark.skipif(not X86, reason="looks for the registers and instructions of x86-64")
FUSED = pytest.mark.skipif(not cpu_features().get("fma"), reason="this CPU has no fused multiply-add")

REGISTER = {128: "xmm", 256: "ymm", 512: "zmm"}[BITS]
TYPE = {"float32": "ps", "float64": "pd"}


def sweeps(dtype):
    """The panels of the matrix products by label, as LLVM has specialized them."""
    found = {
        f"{label} of {name}": body
        for name, text in assembly(dtype).items()
        for label, body in functions(text).items()
        if label.startswith("fastml_sweep_")
    }
    assert found
    return found


def loops(text):
    """Bodies of the innermost loops: from a label to the first jump back to it, without another label between."""
    blocks = re.split(r"^(\.\w+):.*$", text, flags=re.MULTILINE)
    for label, body in zip(blocks[1::2], blocks[2::2], strict=True):
        lines = [line.strip() for line in body.splitlines() if line.strip()]
        ends = [k for k, line in enumerate(lines) if re.match(rf"j\w+\s+{re.escape(label)}$", line)]
        if ends:
            yield lines[: ends[0] + 1]


def is_multiply_add(line, dtype):
    return re.match(rf"vfmadd\w+{TYPE[dtype]}\s", line) is not None


def labelled_tiles(dtype):
    """The inner loops of matrix products, those that multiply and add vectors, with the label of their function."""
    for label, text in sweeps(dtype).items():
        for body in loops(text):
            if sum(is_multiply_add(line, dtype) for line in body) > 1:
                yield label, body


@pytest.mark.parametrize("dtype", DTYPES)
def test_registers_are_as_wide_as_chosen_and_no_wider(dtype):
    """Where the executor and its products compute; masks and random words are integers of 64 bits for each lane."""
    arithmetic = r"v?(?:add|sub|mul|div|sqrt|max|min|fn?m(?:add|sub)\d+|rcp14|rsqrt14)p[sd]\s.*%([xyz]mm)"
    scalar = {
        "barrier",
        "begin_block",
        "next_block",
        "follow",
        "watch",
        "stop_unless_finite",
        "begin_update",
        "clock",
    }  # which know no arrays
    scalar |= {"copy_columns", "embed_forward"}  # which copy short rows, element by element
    scalar |= {"activation_forward", "activation_backward"}  # which call others
    for name_, text in [*assembly(dtype).items(), *sweeps(dtype).items()]:
        used = set(re.findall(arithmetic, text))
        assert f"%{REGISTER}" in text or name_ in scalar, name_
        assert REGISTER in used or not name_.startswith("dense"), name_
        for bits, name in ((256, "ymm"), (512, "zmm")):
            assert bits <= BITS or name not in used


@FUSED
@pytest.mark.parametrize("dtype", DTYPES)
def test_products_multiply_and_add_in_one_instruction(dtype):
    """Each sum of a tile once in a turn of the loop, or as often as LLVM unrolled it, in registers of full width."""
    whole = {f"{name}_{size}": 0 for name in ("rows", "strips") for size in (ROWS * VECTORS, ROWS // 2)}
    for label, body in labelled_tiles(dtype):
        fused = [line for line in body if is_multiply_add(line, dtype)]
        assert all(line.split("%")[-1].startswith(REGISTER) for line in fused)
        assert not any(re.match(rf"v(?:add|sub|mul){TYPE[dtype]}\s", line) for line in body)
        assert len(fused) % (ROWS // 2) == 0
        for name in whole:
            kind, size = name.split("_")
            whole[name] += kind in label and len(fused) % int(size) == 0
    assert all(whole.values())


@FUSED
@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_stay_in_registers(dtype):
    """The loop over the terms writes no vector to memory, as it would if there were too few, and reads none of those
    that were put on the stack before, but the mask of its last column, where masks have no registers of their own."""
    for _, body in labelled_tiles(dtype):
        masks = {match[1] for line in body if (match := re.match(r"vmaskmov\w+\s+[^%]*\(.*\), (%\w+), %\w+$", line))}
        for line in body:
            assert not re.match(r"v?mov\w+\s+%[xyz]mm\d+,.*\(", line), line
            read = re.search(r"\(%rsp[,)].*(%[xyz]mm\d+)$", line)
            assert not read or read[1] in masks, line


@pytest.mark.parametrize("dtype", DTYPES)
def test_formulas_call_no_library(dtype):
    """But for the powers of Adam's β, two in a step."""
    code = "".join(assembly(dtype).values())
    names = set(re.findall(r"(?:movabsq\s+\$|callq?\s+|jmp\s+)([a-z]\w*)", code))
    library = {"exp", "expm1", "log", "log1p", "tanh", "pow", "erf", "erfc", "sqrt", "fma", "fabs", "copysign"}
    called = names & {name + end for name in library for end in ("", "f")}
    assert called == {"pow"}
