"""How much memory a Parquet file will take, told by its footer and the headers of its pages before they are unpacked.

A few kilobytes can stand for gigabytes: of repeated rows, or of a page that packs well. Both structures are in Thrift's
compact protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md); the numbers of
fields are those of https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
"""

# {field: fields of the structure, or of those in the list, that are asked for}; {} is a number
COLUMN = {1: {}, 7: {}, 9: {}, 11: {}}  # type, compressed size, offsets of data pages and of the dictionary
FOOTER = {4: {1: {3: COLUMN}}}  # row groups, their columns, what is known of a column
PAGE = {2: {}, 3: {}, 5: {1: {}}, 7: {1: {}}, 8: {1: {}}}  # sizes unpacked and packed; values of three kinds of pages
WIDTHS = {0: 1, 6: 16}  # bytes of a boolean, and of what points to a text; 8 of all others


class Compact:
    """Reads structures of Thrift's compact protocol from bytes, from a place on. IndexError behind their end."""

    def __init__(self, data, at):
        self.data, self.at = data, at

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def skip(self, length):
        self.at += length
        if self.at > len(self.data):  # else a list without end would be read on and on
            raise IndexError

    def varint(self):
        number = shift = 0
        while True:
            byte = self.byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number
            if shift > 63:
                raise ValueError("a number is too long")

    def zigzag(self):
        number = self.varint()
        return number >> 1 ^ -(number & 1)

    def structure(self, wanted):
        """{field: value} of the wanted fields of a structure."""
        found, field = {}, 0
        while head := self.byte():
            field = field + (head >> 4) if head >> 4 else self.zigzag()
            value = self.value(head & 15, wanted.get(field))
            if field in wanted:
                found[field] = value
        return found

    def value(self, kind, wanted, size=0):
        """A number, a structure, a list of such, or None for what is passed over. Booleans take `size` bytes."""
        if kind in (1, 2):
            self.skip(size)
        elif kind == 3:
            return self.byte()
        elif kind in (4, 5, 6):
            return self.zigzag()
        elif kind in (7, 13):
            self.skip(8 if kind == 7 else 16)
        elif kind == 8:
            self.skip(self.varint())
        elif kind in (9, 10):
            return self.several(wanted)
        elif kind == 11:
            count = self.varint()
            kinds = self.byte() if count else 0
            for _ in range(count):
                self.value(kinds >> 4, None, 1)
                self.value(kinds & 15, None, 1)
        elif kind == 12:
            return self.structure(wanted or {})
        else:
            raise ValueError(f"there is no type {kind}")
        return None

    def several(self, wanted):
        """The values of a list, or None where it is passed over."""
        head = self.byte()
        count = head >> 4 if head >> 4 < 15 else self.varint()
        values = (self.value(head & 15, wanted, 1) for _ in range(count))
        if wanted is not None:
            return list(values)
        for _ in values:
            pass
        return None


def unpacked_size(data):
    """Bytes that the columns of a Parquet file, given as bytes, take in memory, about; ValueError if it is damaged."""
    try:
        length = int.from_bytes(data[-8:-4], "little")
        if data[-4:] != b"PAR1" or length > len(data) - 12:
            raise ValueError("it has no footer")
        footer = Compact(data, len(data) - 8 - length).structure(FOOTER)
        columns = [column[3] for group in footer[4] for column in group.get(1, ())]
        if sum(column[7] for column in columns) > len(data) or any(column[7] < 0 for column in columns):
            raise ValueError("its columns are larger than the file")
        return sum(size_of(data, column) for column in columns)
    except (IndexError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("its footer, or the header of a page, is damaged") from error


def size_of(data, column):
    """Bytes that a column of a row group takes in memory: its pages unpacked, and its values."""
    start = min(column[k] for k in (9, 11) if column.get(k, 0) > 0)
    reader, total = Compact(data, start), 0
    while reader.at < start + column[7]:
        page = reader.structure(PAGE)
        values = sum(page.get(kind, {}).get(1, 0) for kind in (5, 7, 8))
        if min(page[2], page[3], values) < 0:
            raise ValueError("a page has a negative size")
        total += page[2] + values * WIDTHS.get(column[1], 8)
        reader.at += page[3]
    return total
