"""Ways to damage or forge files. Each takes a random generator, so that a seed gives the same file again."""

import copy
import json

import numpy as np
from safetensors.numpy import load as unpack
from safetensors.numpy import save as pack

from fastml.files.saving import digest

VALUES = [
    None, True, False, 0, -1, 1, 2, 3, 255, 2**30, 2**31, 2**53 + 1, 2**63, 2**64, 10**30, 10**400, -(2**63),
    -0.0, 0.5, 5e-324, 1e-40, 1e30, 1e39, 1.7e308, -1e300, "", "x", "1", "0x10", "nan", "NaN", "relu", "float64",
    "adam", "../../etc/passwd", "__class__", "__reduce__", "os.system", "\ud800", "a\0b", "x" * 5000, [], [1], {},
    [[1, 2], [3]],
    {"class": "Dense", "arguments": {"units": 2**30}}, {"class": "SGD", "arguments": {}},
    {"class": "dict", "arguments": {"0": 2**24}}, {"class": "eval", "arguments": {"source": "1"}},
    {"class": "CosineDecay", "arguments": {"learning_rate": 1e308}}, {"float": "nan"}, {"float": "inf"}, {"list": [1]},
    {"tuple": [-5]}, {"dict": [[[], 1]]}, {"array": ["<U500000000", [1], ["a"]]}, {"array": ["|O", [1], [1]]},
    {"array": ["<f8", [-1], [1.0]]}, {"object": {"class": "Adam", "arguments": {}}}, {"code": "1"},
    "@NaN@", "@Infinity@", "@-Infinity@", "@1e999@", "@-1e400@",
]  # fmt: skip
NUMBERS = [np.nan, np.inf, -np.inf, -1.0, 0.0, -0.0, 1.0, 1e-40, 1e10, 3e38, -3e38]
DTYPES = ["float64", "float32", "float16", "int32", "int64", "uint8", "bool", "complex64"]


def pick(rng, things):
    """One of the things."""
    return things[int(rng.integers(len(things)))]


def damaged(rng, content, others):
    """Bytes that are cut, changed, inserted, taken out, or mixed with those of another file."""
    content = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        place, length = int(rng.integers(len(content) + 1)), int(rng.integers(1, 2 ** rng.integers(1, 10)))
        chance = bytes(rng.integers(256, size=length, dtype=np.uint8))
        way = int(rng.integers(7))
        if way == 0:
            del content[place:]
        elif way == 1 and content:
            content[place % len(content)] ^= 1 << int(rng.integers(8))
        elif way == 2:
            content[place : place + length] = chance
        elif way == 3:
            content[place:place] = chance
        elif way == 4:
            del content[place : place + length]
        elif way == 5:
            other = pick(rng, others)
            start = int(rng.integers(len(other)))
            content[place : place + length] = other[start : start + length]
        else:
            content[place:place] = content[max(0, place - length) : place] * int(rng.integers(1, 4))
    return bytes(content)


def places(thing, path=()):
    """The paths of all values in nested dicts and lists."""
    yield path
    if isinstance(thing, (dict, list)):
        for key, value in thing.items() if isinstance(thing, dict) else enumerate(thing):
            yield from places(value, (*path, key))


def at(thing, path):
    for key in path:
        thing = thing[key]
    return thing


def forge_description(rng, description, others):
    """Changes some values, keys or entries of a description, in place, some to values of other files."""
    for _ in range(int(rng.choice([1, 1, 1, 2, 4]))):
        paths = [path for path in places(description) if path]
        if not paths:
            return
        path = pick(rng, paths)
        owner, key = at(description, path[:-1]), path[-1]
        value, way = owner[key], int(rng.integers(8))
        if way <= 2:
            owner[key] = copy.deepcopy(pick(rng, VALUES))
        elif way == 3:
            del owner[key]
        elif way == 4:
            other = json.loads(read_header(pick(rng, others))["description"])
            owner[key] = at(other, pick(rng, list(places(other))))
        elif way == 5 and isinstance(owner, list):
            owner[key:key] = [copy.deepcopy(value) for _ in range(int(rng.integers(1, 4)))]
        elif way == 5:
            other = pick(rng, [place[-1] for place in paths if isinstance(place[-1], str)])
            owner[other] = owner.pop(key)
        elif way == 6 and isinstance(value, (int, float)):
            owner[key] = pick(rng, [-value, value + 1, value - 1, value * 2, value // 3, str(value), [value]])
        else:
            other = pick(rng, paths)
            if other[: len(path)] != path and path[: len(other)] != other:
                elsewhere = at(description, other[:-1])
                owner[key], elsewhere[other[-1]] = elsewhere[other[-1]], value


def forge_text(rng, text):
    """A JSON text with what only a text can have: keys twice, numbers that are none, depth."""
    for token in ("NaN", "Infinity", "-Infinity", "1e999", "-1e400"):
        text = text.replace(f'"@{token}@"', token)
    way = int(rng.integers(12))
    if way == 0:
        return "{" + '"version": 1, ' * int(rng.integers(1, 3)) + text[1:]
    if way == 1:
        depth = int(2 ** rng.integers(1, 16))
        return text.replace("null", "[" * depth + "]" * depth, 1)
    if way == 2:
        return text.replace("1", "1" * int(rng.integers(2, 5000)), 1)
    if way == 3:
        return damaged(rng, text.encode(), [text.encode()]).decode(errors="replace")
    return text


def forge_tensors(rng, tensors):
    """Changes numbers, shapes, dtypes and names of some tensors, in place."""
    for _ in range(int(rng.choice([1, 1, 2]))):
        if not tensors:
            tensors["weights.0.W"] = np.zeros(3, np.float32)
        name = pick(rng, sorted(tensors))
        array, way = tensors[name].copy(), int(rng.integers(12))
        with np.errstate(all="ignore"):
            if way <= 2 and array.size:
                array.flat[int(rng.integers(array.size))] = np.array(pick(rng, NUMBERS)).astype(array.dtype)
            elif way == 3:
                array[...] = np.array(pick(rng, NUMBERS)).astype(array.dtype)
            elif way == 4:
                array = -array if array.dtype != bool else ~array
            elif way == 5:
                array = array.real.astype(pick(rng, DTYPES))
            elif way == 6:
                array = pick(rng, [array.T, array.ravel(), array[None], array[..., None], array[:0]])
            elif way == 7:
                array = np.concatenate([array, array]) if array.ndim else array[None]
            elif way == 8:
                tensors[f"{name}{pick(rng, ['', '0', '.W', '/../x'])}"[int(rng.integers(2)) :]] = array
            elif way == 9:
                other = pick(rng, sorted(tensors))
                array, tensors[other] = tensors[other], array
            elif way == 10 and array.size:
                array = array * array.dtype.type(pick(rng, [2, 1e-3, 100])) if array.dtype.kind == "f" else array
            else:
                del tensors[name]
                continue
        tensors[name] = array


def read_header(content):
    """The metadata of a safetensors file."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])["__metadata__"]


def packed(tensors, text):
    """The bytes of a model file with these tensors and description, and a checksum that fits."""
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    return pack(tensors, {"format": "fastml", "description": text, "sha256": digest(text, tensors)})


def model_file(rng, content, others):
    """A damaged file in one of five, else a forged one whose checksum fits."""
    if rng.random() < 0.2:
        return damaged(rng, content, others)
    tensors, description = dict(unpack(content)), json.loads(read_header(content)["description"])
    what = rng.random()
    if what < 0.75:
        forge_description(rng, description, others)
    if what > 0.6:
        forge_tensors(rng, tensors)
    text = forge_text(rng, json.dumps(description))
    return packed(tensors, text)


FIELDS = [
    b"", b"1e999", b"-inf", b"nan", b"NULL", b"99999999999999999999999", b"-9223372036854775808", b"0x1F", b"1,5", b'"',
    b'""', b'"""', b"'", b"\0", b"\xff", b"\xed\xa0\x80", b"\xc3\xa4", b"2024-13-45", b"0000-00-00", b"9999-12-31",
    b"true", b"\r", b"\t", b" ", b"=1+1", b"\x1b[2J", b"1970-01-01T00:00:00.000001Z", b"x" * 10_000, b"1" * 400, b",,",
    b";", b"\n", b"\r\n", b"\\", b"\xe2\x80\xa8",
]  # fmt: skip


def csv_file(rng, content, others):
    """A text file with fields, lines, header or encoding changed."""
    way = int(rng.integers(8))
    if way <= 1:
        return damaged(rng, content, others)
    if way == 2:
        return content.decode().encode(pick(rng, ["utf-16", "utf-16-le", "utf-8-sig", "utf-32", "cp500"]))
    separator = b";" if content.count(b";") > content.count(b",") else b","
    rows = [line.split(separator) for line in content.split(b"\n")]
    for _ in range(int(rng.choice([1, 1, 2, 8]))):
        row = rows[0] if rng.random() < 0.2 else pick(rng, rows)
        place = int(rng.integers(len(row)))
        if way == 3:
            row[place:place] = [pick(rng, FIELDS)] * int(2 ** rng.integers(0, 8))
        elif way == 4:
            del row[place:]
            row.append(b"")
        elif way == 5:
            rows.insert(int(rng.integers(len(rows))), row * int(rng.integers(1, 3)))
        elif way == 6:
            row[place] = row[place] + pick(rng, FIELDS)
        else:
            row[place] = pick(rng, FIELDS)
    return pick(rng, [b"\n", b"\n", b"\n", b"\r\n", b"\r", b""]).join(separator.join(row) for row in rows)


MUTATIONS = {"model": model_file, "checkpoint": model_file, "estimator": model_file, "csv": csv_file}
MUTATIONS["parquet"] = damaged
