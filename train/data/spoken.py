"""Digits and the signs around them as a person says them: years, money, times, fractions. In English."""

from __future__ import annotations

import re
from collections.abc import Callable

from num2words import num2words

LONGEST_NUMBER = 15  # digits; anything longer is a code, read digit by digit
YEARS = (
    range(1100, 2000),
    range(2010, 2100),
)  # said in two halves; 2005 is "two thousand and five"
# Of a sign: one, several, a hundredth, hundredths.
CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "\u00a3": ("pound", "pounds", "penny", "pence"),
    "\u20ac": ("euro", "euros", "cent", "cents"),
    "\u00a5": ("yen", "yen", "sen", "sen"),
    "\u20b9": ("rupee", "rupees", "paisa", "paise"),
}
SCALES = {"k": "thousand", "m": "million", "mn": "million", "bn": "billion", "b": "billion"}
FRACTIONS = {
    "\u00bd": (1, 2),
    "\u2153": (1, 3),
    "\u2154": (2, 3),
    "\u00bc": (1, 4),
    "\u00be": (3, 4),
    "\u2155": (1, 5),
    "\u2156": (2, 5),
    "\u2157": (3, 5),
    "\u2158": (4, 5),
    "\u2159": (1, 6),
    "\u215a": (5, 6),
    "\u215b": (1, 8),
    "\u215c": (3, 8),
    "\u215d": (5, 8),
    "\u215e": (7, 8),
    "\u2150": (1, 7),
    "\u2151": (1, 9),
}
DETERMINERS = {
    "a",
    "an",
    "the",
    "of",
    "my",
    "your",
    "his",
    "her",
    "its",
    "our",
    "their",
    "this",
    "that",
    "as",
    "past",
    "and",
    "or",
    "to",
    "in",
    "on",
    "is",
    "was",
}

_SIGNS = "".join(map(re.escape, CURRENCIES))
_SPACE = "[ \u00a0\u2009\u202f]"
_NUMBER = r"\d+(?:,\d{3})+(?!\d)|\d+"
_AMOUNT = rf"(?P<whole>{_NUMBER})(?:\.(?P<part>\d+))?"
_SCALE = rf"(?:{_SPACE}?(?P<scale>thousand|million|billion|trillion|k|m|mn|bn|b)\b)?"
_HALVES = "|".join(FRACTIONS)


def spoken(text: str) -> str:
    """The text with all of its numbers in words."""
    for pattern, say in _RULES:
        text = pattern.sub(lambda match, say=say: f" {say(match)} ", text)  # type: ignore[misc]
    return text


def cardinal(digits: str) -> str:
    """A number; a code, as one that begins with 0, digit by digit."""
    digits = digits.replace(",", "")
    if len(digits) > LONGEST_NUMBER or (digits.startswith("0") and len(digits) > 1):
        return _digits(digits)
    return _plain(num2words(int(digits)))


def _digits(digits: str) -> str:
    return " ".join(num2words(int(digit)) for digit in digits)


def _plain(words: str) -> str:
    return words.replace("-", " ").replace(",", "")


def _year(digits: str) -> str:
    """Four digits in two halves, where people say them so."""
    if len(digits) == 4 and any(int(digits) in years for years in YEARS):
        return _plain(num2words(int(digits), to="year"))
    return cardinal(digits)


def _number(match: re.Match[str]) -> str:
    words = cardinal(match["whole"]) if match["part"] else _year(match["whole"])
    return f"{words} point {_digits(match['part'])}" if match["part"] else words


def _part(match: re.Match[str]) -> str:
    return f"point {_digits(match['part'])}"


def _minus(_: re.Match[str]) -> str:
    return "minus"


def _grouped(match: re.Match[str]) -> str:
    return cardinal(re.sub(_SPACE, "", match[0]))


def _ordinal(match: re.Match[str]) -> str:
    digits = match["whole"].replace(",", "")
    return (
        _plain(num2words(int(digits), to="ordinal"))
        if len(digits) <= LONGEST_NUMBER
        else _digits(digits)
    )


def _decade(match: re.Match[str]) -> str:
    words = _year(match["decade"])
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith("x") else "s")


def _money(match: re.Match[str]) -> str:
    one, several, cent, cents = CURRENCIES[match["sign"]]
    whole, part, scale = match["whole"], match["part"] or "", match["scale"]
    number = cardinal(whole)
    if scale:
        scale = SCALES.get(scale.lower(), scale.lower())
        return f"{number}{f' point {_digits(part)}' if part else ''} {scale} {several}"
    if part and len(part) != 2:
        return f"{number} point {_digits(part)} {several}"
    hundredths = int(part or 0)
    if hundredths and not int(whole.replace(",", "")):
        return f"{cardinal(str(hundredths))} {cent if hundredths == 1 else cents}"
    unit = one if number == "one" else several
    return f"{number} {unit} {cardinal(str(hundredths))}" if hundredths else f"{number} {unit}"


def _percent(_: re.Match[str]) -> str:
    return "percent"


def _time(match: re.Match[str]) -> str:
    hour, minute, second = (
        cardinal(match["hour"].lstrip("0") or "0"),
        match["minute"],
        match["second"],
    )
    half = " ".join(match["half"].lower().replace(".", "")) if match["half"] else ""
    words = [hour]
    if minute != "00" or second:
        words += ["oh"] * (minute[0] == "0") + [cardinal(minute.lstrip("0") or "0")]
    elif not half:
        words.append("hundred" if int(match["hour"]) > 12 else "o'clock")
    if second:
        words += ["oh"] * (second[0] == "0") + [cardinal(second.lstrip("0") or "0")]
    return " ".join([*words, half])


def _hour(match: re.Match[str]) -> str:
    return f"{match['hour']} {' '.join(match['half'].lower().replace('.', ''))}"


def _fraction(match: re.Match[str]) -> str:
    """2\u00bd cups: two and a half cups; \u00bd cup: half a cup; 2/3: two thirds."""
    sign = match["sign"] if "sign" in match.re.groupindex else None
    above, below = FRACTIONS[sign] if sign else (int(match["above"]), int(match["below"]))
    name = {2: "half", 4: "quarter"}.get(below) or _plain(num2words(below, to="ordinal"))
    several = "halves" if below == 2 else name + "s"
    words = (
        f"{'a' if match['whole'] or below != 2 else ''} {name}"
        if above == 1
        else f"{cardinal(str(above))} {several}"
    )
    if match["whole"]:
        return f"{cardinal(match['whole'])} and {words}"
    noun = (match["noun"] or "").lower()
    if not noun or noun in DETERMINERS or noun.endswith("s"):
        return words
    article = "an" if noun[0] in "aeiou" or noun in ("hour", "honour", "honor") else "a"
    return f"{words} {'' if (above, below) == (1, 2) else 'of'} {article}"


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), say)
    for pattern, say in (
        (
            rf"(?:(?P<whole>\d+){_SPACE}?)?(?P<sign>{_HALVES})(?={_SPACE}?(?P<noun>[a-z]+)?)",
            _fraction,
        ),
        (
            rf"(?<![\d/.,])(?:(?P<whole>\d+){_SPACE})?(?P<above>[1-9]|1\d)/(?P<below>[2-9]|1\d|20)(?![\d/])"
            rf"(?={_SPACE}?(?P<noun>[a-z]+)?)",
            _fraction,
        ),
        (rf"(?<![\d.,]){_SPACE}?(?P<sign>[{_SIGNS}]){_SPACE}?{_AMOUNT}{_SCALE}", _money),
        (rf"(?<![\d.,]){_AMOUNT}{_SCALE}{_SPACE}?(?P<sign>[{_SIGNS}])", _money),
        (
            r"\b(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?(?!\d)"
            rf"(?:{_SPACE}?(?P<half>[ap]\.?m\b\.?))?",
            _time,
        ),
        (rf"\b(?P<hour>1[0-2]|[1-9]){_SPACE}?(?P<half>[ap]\.?m\b\.?)", _hour),
        (r"(?<![\d.,])'?(?P<decade>\d\d(?:\d0|00)?)'?s\b", _decade),
        (rf"(?<=\d){_SPACE}?%", _percent),
        (r"(?<![\w.,])[-\u2212](?=\d)", _minus),
        (
            rf"(?<![\d.,])(?<!\d{_SPACE})[1-9]\d{{0,2}}(?:{_SPACE}\d{{3}})+(?!{_SPACE}?\d|[.,]\d)",
            _grouped,
        ),
        (rf"(?P<whole>{_NUMBER})(?:st|nd|rd|th)\b", _ordinal),
        (r"(?<!\w)\.(?P<part>\d+)", _part),
        (_AMOUNT, _number),
    )
)
