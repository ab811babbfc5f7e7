"""How alike two pronunciations sound: an edit distance over phones.

Replacing a phone costs less the more features the two share: place, manner and voice of consonants,
height, backness and rounding of vowels. Leaving out or adding a phone costs less for those that are
often swallowed. Costs are between 0 and 1, so a distance of 1 is about one quite different phone.

A pronunciation is a string with one character for each phone, in the symbols of the misaki
dictionary: A, I, O, W and Y are the vowels of day, my, go, now and boy; T is the t of "water".
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

# Place of articulation: 0 lips, 1 glottis.
LIPS, TEETH, RIDGE, BEHIND_RIDGE, PALATE, VELUM, GLOTTIS = 0.0, 0.2, 0.35, 0.5, 0.65, 0.85, 1.0
CONSONANTS = {  # place, manner, voiced
    "p": (LIPS, "stop", False),
    "b": (LIPS, "stop", True),
    "t": (RIDGE, "stop", False),
    "d": (RIDGE, "stop", True),
    "T": (RIDGE, "stop", True),
    "k": (VELUM, "stop", False),
    "ɡ": (VELUM, "stop", True),
    "ʧ": (BEHIND_RIDGE, "affricate", False),
    "ʤ": (BEHIND_RIDGE, "affricate", True),
    "f": (LIPS, "fricative", False),
    "v": (LIPS, "fricative", True),
    "θ": (TEETH, "fricative", False),
    "ð": (TEETH, "fricative", True),
    "s": (RIDGE, "fricative", False),
    "z": (RIDGE, "fricative", True),
    "ʃ": (BEHIND_RIDGE, "fricative", False),
    "ʒ": (BEHIND_RIDGE, "fricative", True),
    "h": (GLOTTIS, "fricative", False),
    "m": (LIPS, "nasal", True),
    "n": (RIDGE, "nasal", True),
    "ŋ": (VELUM, "nasal", True),
    "l": (RIDGE, "glide", True),
    "ɹ": (BEHIND_RIDGE, "glide", True),
    "j": (PALATE, "glide", True),
    "w": (LIPS, "glide", True),
}
VOWELS = {  # height, backness, rounding; of a diphthong also those of its end
    "i": (1.0, 0.0, 0.0),
    "ɪ": (0.8, 0.2, 0.0),
    "ᵻ": (0.7, 0.3, 0.0),
    "ɛ": (0.45, 0.1, 0.0),
    "æ": (0.15, 0.1, 0.0),
    "ə": (0.5, 0.5, 0.0),
    "ᵊ": (0.5, 0.5, 0.0),
    "ɐ": (0.4, 0.5, 0.0),
    "ɜ": (0.5, 0.6, 0.2),
    "ʌ": (0.35, 0.7, 0.0),
    "ɑ": (0.0, 0.8, 0.0),
    "ɔ": (0.3, 1.0, 0.2),
    "ʊ": (0.8, 0.8, 0.2),
    "u": (1.0, 0.9, 0.2),
    "A": (0.6, 0.1, 0.0, 0.9, 0.1, 0.0),
    "I": (0.1, 0.5, 0.0, 0.8, 0.2, 0.0),
    "W": (0.1, 0.5, 0.0, 0.8, 0.8, 0.2),
    "O": (0.5, 0.7, 0.2, 0.8, 0.8, 0.2),
    "Y": (0.4, 1.0, 0.2, 0.8, 0.2, 0.0),
}
# Costs, chosen by hand. tests/unit/test_words_distance.py has words that they must order.
OTHER_MANNER = 0.5
RELATED_MANNER = 0.3
RELATED = {frozenset(("stop", "affricate")), frozenset(("affricate", "fricative"))}
OTHER_VOICE = 0.2
OTHER_PLACE = (0.15, 0.35)  # of any other place, and for each unit between them
UNRELATED = 1.0  # a vowel for a consonant
OMISSION = {"əᵊᵻɪ": 0.5, "htdTnlɹjw": 0.6}
OTHER_OMISSION = 0.8

PHONES = "".join((*CONSONANTS, *VOWELS))
# Costs between phones of two groups are never low, so groups give a quick lower bound.
GROUPS = {"stop": "s", "affricate": "f", "fricative": "f", "nasal": "n", "glide": "g"}
VOWEL_GROUP = "v"
BATCH = 20_000  # pairs measured at once


def _substitution(a: str, b: str) -> float:
    if a == b:
        return 0.0
    if a in CONSONANTS and b in CONSONANTS:
        place, manner, voiced = CONSONANTS[a]
        other_place, other_manner, other_voiced = CONSONANTS[b]
        cost = OTHER_VOICE if voiced != other_voiced else 0.0
        if manner != other_manner:
            cost += RELATED_MANNER if {manner, other_manner} in RELATED else OTHER_MANNER
        if place != other_place:
            cost += OTHER_PLACE[0] + OTHER_PLACE[1] * abs(place - other_place)
        return min(cost, 1.0)
    if a in VOWELS and b in VOWELS:
        # A single vowel begins and ends as the same.
        ends = (np.resize(VOWELS[vowel], (2, 3)) for vowel in (a, b))
        return min(float(np.linalg.norm(np.subtract(*ends), axis=1).mean()), 1.0)
    return UNRELATED


@functools.cache
def _costs() -> Floats:
    """Costs [phone + 1, phone + 1]; the last row and column stand for no phone at all."""
    size = len(PHONES)
    costs = np.full((size + 1, size + 1), OTHER_OMISSION, np.float32)
    costs[size, size] = 0.0
    for i, a in enumerate(PHONES):
        for phones, cost in OMISSION.items():
            if a in phones:
                costs[i, size] = costs[size, i] = cost
        costs[i, :size] = [_substitution(a, b) for b in PHONES]
    return costs


@functools.cache
def _groups() -> tuple[dict[int, str], float]:
    """A table for str.translate, from each phone to its group, and the least cost across groups."""
    group = {p: GROUPS[CONSONANTS[p][1]] if p in CONSONANTS else VOWEL_GROUP for p in PHONES}
    across = [_substitution(a, b) for a in PHONES for b in PHONES if group[a] != group[b]]
    least = min(*across, OTHER_OMISSION, *OMISSION.values())
    return {ord(phone): name for phone, name in group.items()}, least


def distance(a: str, b: str) -> float:
    """The distance between two pronunciations."""
    return float(distances([a], [b])[0])


def distances(a: Sequence[str], b: Sequence[str]) -> Floats:
    """The distances [n] between the pronunciations a[i] and b[i]."""
    batches = range(0, len(a), BATCH)
    found = [_distances(a[i : i + BATCH], b[i : i + BATCH]) for i in batches]
    return np.concatenate([np.zeros(0, np.float32), *found])


def _distances(a: Sequence[str], b: Sequence[str]) -> Floats:
    """One table of Wagner and Fischer (1974) for all pairs at once."""
    costs, none = _costs(), len(PHONES)
    first = _encode(a)
    second = _encode(b)
    above = np.zeros((len(a), second.shape[1] + 1), np.float32)
    # Padding costs nothing, so the last element is the distance whatever the lengths.
    np.cumsum(costs[none, second], axis=1, out=above[:, 1:])
    for i in range(first.shape[1]):
        phone = first[:, i]
        row = np.empty_like(above)
        row[:, 0] = above[:, 0] + costs[phone, none]
        for j in range(second.shape[1]):
            other = second[:, j]
            replaced = above[:, j] + costs[phone, other]
            left_out = above[:, j + 1] + costs[phone, none]
            added = row[:, j] + costs[none, other]
            row[:, j + 1] = np.minimum(np.minimum(replaced, left_out), added)
        above = row
    return above[:, -1]


def _encode(pronunciations: Sequence[str]) -> Ints:
    """Numbers of phones [n, longest], padded with len(PHONES), which stands for no phone."""
    longest = max(map(len, pronunciations), default=0)
    encoded = np.full((len(pronunciations), longest), len(PHONES), np.int64)
    for row, phones in zip(encoded, pronunciations, strict=True):
        row[: len(phones)] = [PHONES.index(phone) for phone in phones]
    return encoded


def pairs_within(a: Sequence[str], b: Sequence[str], most: float) -> tuple[Ints, Ints, Floats]:
    """All pairs of a[i] and b[j] whose distance is at most `most`.

    Returns i, j and the distance of each pair, sorted by i and j. A count of changed groups, which
    is quick and never too high, first rules most pairs out.
    """
    group, least = _groups()
    rough_a = [phones.translate(group) for phones in a]
    rough_b = [phones.translate(group) for phones in b]
    changes = int(most / least + 1e-6)
    rows = max(1, 10_000_000 // max(1, len(b)))  # of the matrix of counts, to bound its memory
    found_i, found_j = [], []
    for start in range(0, len(a), rows):
        counts = cdist(
            rough_a[start : start + rows],
            rough_b,
            scorer=Levenshtein.distance,
            score_cutoff=changes,
            dtype=np.uint16,
        )
        i, j = np.nonzero(counts <= changes)
        found_i.append(i + start)
        found_j.append(j)
    i = np.concatenate([np.zeros(0, np.int64), *found_i])
    j = np.concatenate([np.zeros(0, np.int64), *found_j])
    exact = distances([a[k] for k in i.tolist()], [b[k] for k in j.tolist()])
    near = exact <= most + 1e-6
    return i[near], j[near], exact[near]
