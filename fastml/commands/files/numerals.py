"""Numbers as people and programs write them: 1,234.5 and 1.234,5 and 1 234, $12, (12), 38 %, 12 kg.

Whether a comma is the decimal sign is told by a whole column, or where that is not enough, by the file's other columns.
"""

import re
from typing import NamedTuple

import polars as pl

SPACES = "\u0020\u00a0\u2007\u2009\u202f"  # which group digits, as do apostrophes
MONEY = r"R\$|[$€£¥₹₽₩]|USD|EUR|GBP|JPY|CHF|CNY|INR|AUD|CAD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|RUB|ZAR|MXN|KRW|kr\.?|Rs\.?"
BODY = rf"[0-9][[0-9].,'’{SPACES}]*[0-9]|[0-9]|[.,][0-9]+|[0-9]+[.,]"
NOTHING = rf"^({MONEY})\s*[-–]$|^[-–]\s*({MONEY})$"  # as accounts write 0
NUMERAL = (
    rf"^(?P<open>\(?)\s*(?P<sign>[-+−–]?)\s*(?P<money>{MONEY})?\s*(?P<inner>[-+−–(]?)\s*(?P<body>{BODY})"
    r"(?P<exponent>[eE][-+]?[0-9]{1,3})?\s*(?P<unit>[%‰°ºµμΩA-Za-z€$£¥₹₽][%‰°ºµμΩA-Za-z²³/·.€$]{0,9})?"
    r"\s*(?P<behind>-?)(?P<close>\)?)$"
)
APART = rf"[{SPACES}'’]"
GROUPED = rf"^([0-9]{{1,3}})((?:[{SPACES}'’][0-9]{{3}})+)([.,][0-9]*)?$"
POINT = (
    r"^(?:[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{2,3})*,[0-9]{3})?(?:\.[0-9]*)?$"  # the decimal sign is a point, commas group
)
COMMA = r"^(?:[0-9]+|[1-9][0-9]{0,2}(?:\.[0-9]{3})+)?(?:,[0-9]*)?$"  # the other way round
ADDRESS = r"^[0-9]{1,3}(\.[0-9]{1,3}){3}$"  # of the internet
MINUS = {"sign": ["-", "−", "–"], "inner": ["-", "−", "–", "("], "behind": ["-"]}


class Numerals(NamedTuple):
    """Different texts that are numbers, in pieces, and what they tell.

    parts : a table with text, minus, body and exponent; unit : what all have, such as "%", or ""
    point, comma : whether each may be read with this decimal sign; grouped : whether a sign may group digits
    """

    parts: pl.DataFrame
    unit: str
    point: bool
    comma: bool
    grouped: bool

    @property
    def decimal(self):
        """The decimal sign, where the texts tell it without doubt, or None."""
        return None if self.point == self.comma else "." if self.point else ","


def numerals(texts):
    """Numerals of a Series of different texts, or None where they are not all numbers of the same unit."""
    found = texts.str.replace(NOTHING, "${1}${2}0").str.extract_groups(NUMERAL).struct.unnest()
    if found["body"].null_count():
        return None
    found = found.with_columns(pl.all().fill_null(""))
    if ((found["open"].ne("") | found["inner"].eq("(")) != found["close"].ne("")).any():
        return None
    unit = unit_of(found)
    if unit is None:
        return None
    minus = sum(found[c].is_in(signs).cast(pl.Int8) for c, signs in (*MINUS.items(), ("open", ["("])))
    if (minus > 1).any():
        return None
    body = found["body"]
    apart = body.str.contains(APART)
    if (apart & (~body.str.contains(GROUPED) | (found["sign"] == "+"))).any():  # which telephones have
        return None
    body = body.str.replace_all(APART, "")
    point, comma = (bool(body.str.contains(pattern).all()) for pattern in (POINT, COMMA))
    if (found["exponent"] != "").any() and not body.str.contains(",", literal=True).any():
        comma = False  # numbers with an exponent have no groups
    if not (point or comma) or body.str.contains(ADDRESS).all():
        return None
    grouped = bool(body.str.contains(r"[.,][0-9]{3}$").any()) or bool(body.str.contains(r"[.,][0-9]{3}[.,]").any())
    parts = pl.DataFrame({"text": texts, "minus": minus > 0, "body": body, "exponent": found["exponent"]})
    return Numerals(parts, unit, point, comma, grouped)


def unit_of(found):
    """The unit that numbers share: money may be missing from some; None where they have different ones."""
    money, unit = found["money"], found["unit"].str.strip_chars(".")
    if ((money != "") & (unit != "")).any():
        return None
    units = set((money + unit).to_list())
    if len(units) == 2 and "" in units and re.fullmatch(MONEY, max(units)):
        units.discard("")
    return units.pop() if len(units) == 1 else None


def told_apart(body):
    """Whether some of the whole numbers show that a sign before three digits groups them.

    Numbers below 1000 stand without a sign, and none above does: with three decimals each would have them.
    """
    bare = body.filter(~body.str.contains(r"[.,]"))
    return bool(len(bare)) and bool((bare.str.len_chars() <= 3).all())


def ends_in_zero(body):
    """Whether a number ends in a zero behind its point."""
    return bool(body.str.contains(r"\.[0-9]*0$").any())


def values(found, decimal):
    """The numbers, (rows,) Float64, of Numerals whose decimal sign is known."""
    group = "," if decimal == "." else "."
    body = found.parts["body"].str.replace_all(group, "", literal=True)
    if decimal == ",":
        body = body.str.replace(",", ".", literal=True)
    number = (body + found.parts["exponent"]).cast(pl.Float64)
    return pl.select(pl.when(found.parts["minus"]).then(-number).otherwise(number)).to_series()
