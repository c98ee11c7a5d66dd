"""The bytes of a table: from a file or standard input, unpacked, and text of any encoding as UTF-8."""

import bz2
import codecs
import gzip
import io
import re
import sys
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

from fastml.commands import CommandError, listing

STDIN, PARQUET = "-", (".parquet", ".pq")
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")  # what names of packed files end in
LEAST_LIMIT, EXPANSION = 2**28, 100  # bytes in memory that any packed file may take, and for each byte of a larger one
CHUNK, SAMPLE = 2**24, 2**16
BINARY = bytes({*range(32)} - set(b"\t\n\v\f\r\x1a\x1b\x1c\x1d\x1e\x1f"))  # which no text has
for kind in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"):
    codecs.lookup(kind)  # imports it, once
BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # begins as UTF-16's does, so it comes first
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
FOREIGN = {  # how files begin that hold tables of another kind, and what to do with them
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save its sheet as CSV",
    b"ARROW1": "an Arrow file: write it as Parquet, as by polars.read_ipc(…).write_parquet(…)",
    b"FEA1": "a Feather file: write it as Parquet, as by pandas.read_feather(…).to_parquet(…)",
    b"ORC": "an ORC file: write it as Parquet",
    b"SQLite format 3": "a database of SQLite: export the table as CSV",
    b"%PDF": "a PDF: only a table as CSV or Parquet can be read",
    b"\x89HDF": "an HDF5 file: write its table as CSV or Parquet",
    b"7z\xbc\xaf": "a 7-Zip archive: unpack it first",
    b"Rar!": "a RAR archive: unpack it first",
}
MARKUP = {  # the same, in text
    rb"<[!?a-zA-Z]": "a web page or XML: save the table as CSV",
    rb"[\[{]\s*[\[{\"]": "JSON: write it as CSV or Parquet",
    rb"(?:%[^\n]*\n|\s)*(?i:@relation)\s": "ARFF: write it as CSV or Parquet",
}


class Source(NamedTuple):
    """What was read: what errors call it, its bytes, unpacked, and remarks for the user."""

    name: str
    data: bytes
    notes: list


def open_source(path):
    """The Source at a path, or of standard input where that is "-". CommandError where it cannot be read."""
    name = "standard input" if path == STDIN else str(path)
    if path != STDIN and Path(path).is_dir():
        raise CommandError(f"{path} is a folder, not a file")
    try:
        data = sys.stdin.buffer.read() if path == STDIN else Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}") from error
    notes, most = [], max(LEAST_LIMIT, EXPANSION * len(data))
    for _ in range(2):  # such as a zip of a .gz
        unpacked = unpack(name, data, most, notes)
        if unpacked is data:
            break
        data = unpacked
    check_kind(name, data)
    if str(path).lower().endswith(PARQUET) and not data.startswith(b"PAR1"):
        raise CommandError(f"{name} cannot be read as Parquet: it does not begin so")
    return Source(name, data, notes)


def is_parquet(source):
    return source.data.startswith(b"PAR1")


def unpack(name, data, most, notes):
    """What packed bytes hold, at most so many bytes; bytes that are not packed as they are."""
    try:
        if data.startswith(b"\x1f\x8b"):
            return bounded(name, gzip.GzipFile(fileobj=io.BytesIO(data)), most)
        if data.startswith(b"BZh"):
            return bounded(name, bz2.BZ2File(io.BytesIO(data)), most)
        if data.startswith(b"\xfd7zXZ"):
            import lzma  # which some Pythons lack

            return bounded(name, lzma.LZMAFile(io.BytesIO(data)), most)
        if data.startswith(b"\x28\xb5\x2f\xfd"):
            return bounded(name, zstd(name, data), most)
        if data.startswith(b"PK\x03\x04"):
            return bounded(name, member(name, zipfile.ZipFile(io.BytesIO(data)), notes), most)
    except ImportError as error:
        raise CommandError(f"{name} is packed as this Python cannot unpack: {error}") from error
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        raise CommandError(f"{name} cannot be unpacked: {error}") from error
    except Exception as error:  # LZMAError and ZstdError are no ValueErrors
        if isinstance(error, CommandError) or type(error).__name__ not in ("LZMAError", "ZstdError"):
            raise
        raise CommandError(f"{name} cannot be unpacked: {error}") from error
    return data


def zstd(name, data):
    """A file object that unpacks Zstandard."""
    try:
        from compression.zstd import ZstdFile  # from Python 3.14 on

        return ZstdFile(io.BytesIO(data))
    except ImportError:
        pass
    try:
        import zstandard
    except ImportError:
        raise CommandError(f"{name} is packed by zstd: pip install zstandard, or unpack it first") from None
    return zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(io.BytesIO(data), read_across_frames=True)


def member(name, archive, notes):
    """The only table in a zip archive, opened."""
    names = [found.filename for found in archive.infolist() if not found.is_dir()]
    if "[Content_Types].xml" in names or "mimetype" in names:
        raise CommandError(f"{name} is a workbook of Excel or LibreOffice: save its sheet as CSV")
    names = [found for found in names if not found.startswith("__MACOSX/") and not found.endswith(".DS_Store")]
    if len(names) != 1:
        raise CommandError(f"{name} holds {len(names)} files, expected one: {listing(names)}")
    notes.append(f"it is the file {names[0]} in an archive")
    return archive.open(names[0])


def bounded(name, file, most):
    """All that can be read from a file object, if it is not more than so many bytes."""
    parts, size = [], 0
    while part := file.read(CHUNK):
        parts.append(part)
        size += len(part)
        if size > most:
            raise CommandError(f"{name} unpacks to more than {most / 1e9:.1f} GB, which is too much for its size")
    return b"".join(parts)


def check_kind(name, data):
    """CommandError for an empty file, and for one that holds no text and is no Parquet."""
    start = data[:4096].strip()
    if not start:
        raise CommandError(f"{name} is empty")
    for sign, what in FOREIGN.items():
        if data.startswith(sign):
            raise CommandError(f"{name} is {what}")
    for sign, what in MARKUP.items():
        if re.match(sign, start):
            raise CommandError(f"{name} is {what}")


def as_utf8(source, encoding=None):
    """The text of a source in UTF-8, without a byte order mark and with line feeds alone; notes what was assumed."""
    name, data, notes = source
    known = next((kind for mark, kind in BOMS.items() if data.startswith(mark)), None)
    encoding = encoding or known or wide(data)
    if encoding is None and not is_utf8(data):
        encoding = "cp1252"
        notes.append("it is not UTF-8, so it was read as Windows-1252 (Latin-1): --encoding tells another")
    if encoding and codecs.lookup(encoding).name != "utf-8":
        data = recoded(name, data, encoding)
    elif encoding and not is_utf8(data):
        raise CommandError(f"{name} is not text in {encoding}: --encoding tells another")
    while data.startswith(codecs.BOM_UTF8):  # some programs write it twice
        data = data.removeprefix(codecs.BOM_UTF8)
    if data[:SAMPLE].translate(None, BINARY) != data[:SAMPLE] or b"\0" in data:
        raise CommandError(f"{name} is not a text file")
    data = data.rstrip(b"\x1a")  # the end of a file of old
    if b"\r\r\n" in data:
        data = data.replace(b"\r\r\n", b"\n")
    return data.replace(b"\r", b"\n") if b"\r" in data and b"\n" not in data else data  # as old Macs wrote


def wide(data):
    """UTF-16 without a mark, told by the zeros beside Latin letters, or None."""
    start = data[: 2 * (min(len(data), 4096) // 2)]
    if len(start) < 4:
        return None
    even, odd = start[::2].count(0), start[1::2].count(0)
    if max(even, odd) < 0.4 * len(start) / 2 or min(even, odd):
        return None
    return "utf-16-le" if odd else "utf-16-be"


def is_utf8(data):
    """Whether bytes are text in UTF-8, looked at in pieces: a str takes up to four times the memory."""
    if data.isascii():
        return True
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), CHUNK):
            decoder.decode(data[start : start + CHUNK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def recoded(name, data, encoding):
    """Bytes of an encoding in UTF-8."""
    try:
        decoder = codecs.getincrementaldecoder(encoding)("replace" if encoding == "cp1252" else "strict")
        pieces = (decoder.decode(data[at : at + CHUNK], at + CHUNK >= len(data)) for at in range(0, len(data), CHUNK))
        return b"".join(piece.encode() for piece in pieces).removeprefix(codecs.BOM_UTF8)
    except UnicodeError as error:
        raise CommandError(f"{name} is not text in {encoding}: --encoding tells another") from error
