"""Prints the sentences of books, one per line: books.py FOLDER MANIFEST... > text

FOLDER holds books as Markdown or TEI (.md, .xml). A book with sentences of dev or test in the
manifests is left out. So is a sentence that shares six words in a row with one of them, or that has
a rare word.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ds2edge.train.data.text import normalise
from ds2edge.train.pretrained.transcripts import held_out_sequences, read_clips, sequences

# The end of a sentence: a stop that ends no title, and a capital letter after it.
QUOTES = r"\"'\u2018\u2019\u201c\u201d()"
END = re.compile(rf"(?<!\bMr)(?<!\bMrs)(?<!\bDr)(?<!\bSt)[.!?][{QUOTES}]*\s+(?=[{QUOTES}]*[A-Z])")
MARKUP = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|[*_`>|]")  # links keep their text
LEAST_WORDS, MOST_WORDS = 2, 60
SOURCE_WORDS = 9  # so many words in a row are shared by chance only in sayings and quotations,
SOURCE_SENTENCES = 3  # and not in so many sentences of a book
LEAST_COUNT = 5  # of every word of a sentence, in all books, so that the model knows no rare names


def sentences(path: Path) -> Iterator[str]:
    """The normalised sentences of a book."""
    for paragraph in tei(path) if path.suffix == ".xml" else markdown(path):
        for sentence in END.split(" ".join(paragraph.split())):
            text = normalise(sentence.replace("--", " ").replace("—", " ")).text
            if LEAST_WORDS <= len(text.split()) <= MOST_WORDS:
                yield text


def markdown(path: Path) -> list[str]:
    """The paragraphs of a Markdown file, without headings and rules."""
    parts = re.split(r"\n\s*\n", path.read_text(encoding="utf-8", errors="replace"))
    return [MARKUP.sub(r"\1", part) for part in parts if not re.match(r"\s*(#|---|\d+\s*$)", part)]


def tei(path: Path) -> list[str]:
    """The paragraphs and verses of the body of a TEI file."""
    names = {"{http://www.tei-c.org/ns/1.0}" + name for name in ("p", "l")}
    body = ET.parse(path).getroot().find(".//{http://www.tei-c.org/ns/1.0}body")
    assert body is not None, path
    return ["".join(part.itertext()) for part in body.iter() if part.tag in names]


def kept(folder: Path, manifests: list[Path]) -> Iterator[str]:
    """The sentences of all books that may be used, each once."""
    clips = read_clips(manifests)
    alike = held_out_sequences(clips)
    long = [clip for clip in clips if len(clip["text"].split()) >= SOURCE_WORDS]
    source = held_out_sequences(long, SOURCE_WORDS)
    seen: set[str] = set()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".md", ".xml")):
        texts = {text: text.split() for text in sentences(path)}
        shared = sum(
            not source.isdisjoint(sequences(words, SOURCE_WORDS)) for words in texts.values()
        )
        if shared >= SOURCE_SENTENCES:
            print(f"left out: {path.relative_to(folder)}: {shared} sentences", file=sys.stderr)
            continue
        for text, words in texts.items():
            if text not in seen and alike.isdisjoint(sequences(words)):
                seen.add(text)
                yield text


def main() -> None:
    """Reads the folder and the manifests that the command line names."""
    folder, *manifests = map(Path, sys.argv[1:])
    texts = list(kept(folder, manifests))
    counts = Counter(word for text in texts for word in text.split())
    for text in texts:
        if all(counts[word] >= LEAST_COUNT for word in text.split()):
            print(text)


if __name__ == "__main__":
    main()
