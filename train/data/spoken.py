"""Spells out numbers in English text as a person says them: years, money, times, fractions.

num2words spells cardinals, ordinals and years. This module finds numbers in a text and decides how
to read them. It also spells what num2words lacks or words differently: fractions, times, decades,
codes digit by digit, decimals with trailing zeros, and money ("five dollars fifty").
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from num2words import num2words

MAX_DIGITS = 15  # longer numbers are codes, which are read digit by digit
YEARS = range(1100, 2100)  # "nineteen fourteen"; below: "one thousand and sixty six"
# Sign: unit, units, hundredth, hundredths.
CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "\u00a3": ("pound", "pounds", "penny", "pence"),
    "\u20ac": ("euro", "euros", "cent", "cents"),
    "\u00a5": ("yen", "yen", "sen", "sen"),
    "\u20b9": ("rupee", "rupees", "paisa", "paise"),
}
SCALES = {"k": "thousand", "m": "million", "mn": "million", "bn": "billion", "b": "billion"}
FRACTION_SIGNS = "\u00bc-\u00be\u2150\u2151\u2153-\u215e"  # one half, two thirds and so on
# Words before which "half" or "two thirds" stands alone: "half the cup", but "half a cup".
FUNCTION_WORDS = frozenset(
    {"a", "an", "the", "of", "my", "your", "his", "her", "its", "our", "their", "this", "that"}
    | {"as", "past", "and", "or", "to", "in", "on", "is", "was"}
)

_CURRENCY = "".join(map(re.escape, CURRENCIES))
_SPACE = "[ \u00a0\u2009\u202f]"
_NUMBER = r"\d+(?:,\d{3})+(?!\d)|\d+"
_AMOUNT = rf"(?P<whole>{_NUMBER})(?:\.(?P<decimals>\d+))?"
_SCALE = rf"(?:{_SPACE}?(?P<scale>thousand|million|billion|trillion|k|m|mn|bn|b)\b)?"
_HALF_OF_DAY = r"(?P<half>[ap]\.?m\b\.?)"
_NOUN = rf"(?={_SPACE}?(?P<noun>[a-z]+)?)"

Match = re.Match[str]


def spoken(text: str) -> str:
    """The text with all its numbers in words."""
    for pattern, spell in _RULES:

        def in_spaces(match: Match, spell: Callable[[Match], str] = spell) -> str:
            return f" {spell(match)} "

        text = pattern.sub(in_spaces, text)
    return text


def cardinal(digits: str) -> str:
    """A number in words. A code, such as one that begins with 0, is read digit by digit."""
    digits = digits.replace(",", "")
    if len(digits) > MAX_DIGITS or (digits.startswith("0") and len(digits) > 1):
        return _digit_by_digit(digits)
    return _without_marks(num2words(int(digits)))


def _digit_by_digit(digits: str) -> str:
    return " ".join(num2words(int(digit)) for digit in digits)


def _without_marks(words: str) -> str:
    return words.replace("-", " ").replace(",", "")


def _with_decimals(number: str, decimals: str | None) -> str:
    """Words of a number, followed by its decimals if it has any."""
    return f"{number} point {_digit_by_digit(decimals)}" if decimals else number


def _year(digits: str) -> str:
    """Four digits as a year, if they can be one; otherwise a cardinal."""
    if len(digits) == 4 and int(digits) in YEARS:
        return _without_marks(num2words(int(digits), to="year"))
    return cardinal(digits)


def _spell_number(match: Match) -> str:
    whole = match["whole"]
    number = cardinal(whole) if match["decimals"] else _year(whole)
    return _with_decimals(number, match["decimals"])


def _spell_decimals(match: Match) -> str:
    return f"point {_digit_by_digit(match['decimals'])}"


def _spell_minus(_: Match) -> str:
    return "minus"


def _spell_grouped(match: Match) -> str:
    """Digits in groups of three: 10 000."""
    return cardinal(re.sub(_SPACE, "", match[0]))


def _spell_ordinal(match: Match) -> str:
    digits = match["whole"].replace(",", "")
    if len(digits) > MAX_DIGITS:
        return _digit_by_digit(digits)
    return _without_marks(num2words(int(digits), to="ordinal"))


def _spell_decade(match: Match) -> str:
    words = _year(match["decade"])
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith("x") else "s")


def _spell_money(match: Match) -> str:
    unit, units, hundredth, hundredths = CURRENCIES[match["sign"]]
    whole = match["whole"]
    decimals = match["decimals"] or ""
    number = cardinal(whole)
    if match["scale"]:
        scale = match["scale"].lower()
        return f"{_with_decimals(number, decimals)} {SCALES.get(scale, scale)} {units}"
    if decimals and len(decimals) != 2:
        return f"{_with_decimals(number, decimals)} {units}"
    amount = f"{number} {unit if number == 'one' else units}"
    if not int(decimals or 0):
        return amount
    small = cardinal(str(int(decimals)))
    if int(whole.replace(",", "")):
        return f"{amount} {small}"
    return f"{small} {hundredth if small == 'one' else hundredths}"


def _spell_cents(match: Match) -> str:
    number = cardinal(match["whole"])
    return f"{number} {'cent' if number == 'one' else 'cents'}"


def _spell_percent(_: Match) -> str:
    return "percent"


def _spell_time(match: Match) -> str:
    """7:45, 6:05 am, 6.05 pm, 9:00 or 10:15:30."""
    hour = int(match["hour"])
    minute = match["minute"]
    second = match["second"]
    words = [cardinal(str(hour))]
    if minute != "00" or second:
        words.append(_two_digits(minute))
    elif not match["half"]:
        words.append("hundred" if hour > 12 else "o'clock")
    if second:
        words.append(_two_digits(second))
    return " ".join([*words, _half_of_day(match)])


def _two_digits(digits: str) -> str:
    """Minutes or seconds: "oh five"."""
    words = cardinal(str(int(digits)))
    return f"oh {words}" if digits[0] == "0" else words


def _half_of_day(match: Match) -> str:
    """ "a m" or "p m"; "" if the time does not say."""
    return " ".join((match["half"] or "").lower().replace(".", ""))


def _spell_hour(match: Match) -> str:
    return f"{match['hour']} {_half_of_day(match)}"


def _spell_fraction_sign(match: Match) -> str:
    numerator, denominator = unicodedata.normalize("NFKC", match["sign"]).split("\u2044")
    return _fraction(match, int(numerator), int(denominator))


def _spell_fraction(match: Match) -> str:
    return _fraction(match, int(match["numerator"]), int(match["denominator"]))


def _fraction(match: Match, numerator: int, denominator: int) -> str:
    """2\u00bd cups: two and a half cups; \u00bd cup: half a cup; 2/3: two thirds."""
    name = {2: "half", 4: "quarter"}.get(denominator)
    name = name or _without_marks(num2words(denominator, to="ordinal"))
    if numerator > 1:
        words = f"{cardinal(str(numerator))} {'halves' if denominator == 2 else name + 's'}"
    elif match["whole"] or denominator != 2:
        words = f"a {name}"
    else:
        words = name
    if match["whole"]:
        return f"{cardinal(match['whole'])} and {words}"
    noun = (match["noun"] or "").lower()
    if not noun or noun in FUNCTION_WORDS or noun.endswith("s"):
        return words
    article = "an" if noun[0] in "aeiou" or noun in ("hour", "honour", "honor") else "a"
    return f"{words} {article}" if words == "half" else f"{words} of {article}"


# Earlier rules go first, so that what remains for later ones is plain numbers.
_RULES: tuple[tuple[re.Pattern[str], Callable[[Match], str]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), spell)
    for pattern, spell in (
        (
            rf"(?:(?P<whole>\d+){_SPACE}?)?(?P<sign>[{FRACTION_SIGNS}]){_NOUN}",
            _spell_fraction_sign,
        ),
        (
            rf"(?<![\d/.,])(?:(?P<whole>\d+){_SPACE})?"
            rf"(?P<numerator>[1-9]|1\d)[/\u2044](?P<denominator>[2-9]|1\d|20)(?![\d/]){_NOUN}",
            _spell_fraction,
        ),
        (
            rf"(?<![\d.,]){_SPACE}?(?P<sign>[{_CURRENCY}]){_SPACE}?{_AMOUNT}{_SCALE}",
            _spell_money,
        ),
        (rf"(?<![\d.,]){_AMOUNT}{_SCALE}{_SPACE}?(?P<sign>[{_CURRENCY}])", _spell_money),
        (
            r"\b(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?(?!\d)"
            rf"(?:{_SPACE}?{_HALF_OF_DAY})?",
            _spell_time,
        ),
        (
            rf"\b(?P<hour>1[0-2]|0?[1-9])\.(?P<minute>[0-5]\d)(?P<second>(?!))?"
            rf"{_SPACE}?{_HALF_OF_DAY}",
            _spell_time,
        ),
        (rf"\b(?P<hour>1[0-2]|[1-9]){_SPACE}?{_HALF_OF_DAY}", _spell_hour),
        (r"(?<![\d.,])'?(?P<decade>\d\d(?:\d0|00)?)'?s\b", _spell_decade),
        (rf"(?<=\d){_SPACE}?%", _spell_percent),
        (rf"(?P<whole>{_NUMBER}){_SPACE}?\u00a2", _spell_cents),
        (r"(?<![\w.,])[-\u2212](?=\d)", _spell_minus),
        (
            rf"(?<![\d.,])(?<!\d{_SPACE})[1-9]\d{{0,2}}(?:{_SPACE}\d{{3}})+"
            rf"(?!{_SPACE}?\d|[.,]\d)",
            _spell_grouped,
        ),
        (rf"(?P<whole>{_NUMBER})(?:st|nd|rd|th)\b", _spell_ordinal),
        (r"(?<!\w)\.(?P<decimals>\d+)", _spell_decimals),
        (_AMOUNT, _spell_number),
    )
)
