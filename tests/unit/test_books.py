"""The sentences of books for the pretrained language model."""

from __future__ import annotations

import json
import sys

from ds2edge.train.pretrained import books

NOVEL = """# Title: A Novel

## Chapter 1

"I saw Mr. Brown," she said. "He has _nine_ [boats](https://example.org) on the lake!" Then
they left--at once.

---

12
"""
TEI = """<TEI xmlns="http://www.tei-c.org/ns/1.0"><teiHeader><p>Not a word.</p></teiHeader>
<text><body><div><head>One</head><p>The <hi>night</hi> was
cold.</p><l>And so to bed.</l></div></body></text></TEI>"""
HELD_OUT = [f"this is the sentence number {word} of a speaker kept apart" for word in "abc"]
QUOTED = "it was said that this is the sentence number a of all"


def manifest(folder):
    path = folder / "manifest.jsonl"
    clips = [{"text": text.capitalize() + ".", "split": "test"} for text in HELD_OUT]
    clips.append({"text": "he has nine boats on the lake", "split": "train"})
    path.write_text("".join(json.dumps(clip) + "\n" for clip in clips))
    return path


def test_sentences_of_markdown_and_tei(tmp_path):
    for name, text in (("novel.md", NOVEL), ("night.xml", TEI)):
        (tmp_path / name).write_text(text)
    assert list(books.sentences(tmp_path / "novel.md")) == [
        "i saw mr brown she said",
        "he has nine boats on the lake",
        "then they left at once",
    ]
    assert list(books.sentences(tmp_path / "night.xml")) == [
        "the night was cold",
        "and so to bed",
    ]


def test_what_dev_and_test_say_is_left_out(tmp_path, capsys):
    folder = tmp_path / "books"
    folder.mkdir()
    (folder / "novel.md").write_text(f"{NOVEL}\n\n{QUOTED.capitalize()}. He has nine boats.")
    source = " ".join(f"{text.capitalize()}." for text in HELD_OUT)
    (folder / "source.md").write_text(f"{source} It goes on and on.")
    assert list(books.kept(folder, [manifest(tmp_path)])) == [
        "i saw mr brown she said",
        "he has nine boats on the lake",  # the text of a clip to train with
        "then they left at once",
        "he has nine boats",
    ]
    assert "left out: source.md: 3 sentences" in capsys.readouterr().err


def test_sentences_with_rare_words_are_left_out(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "books"
    folder.mkdir()
    lines = [f"{a} {b} sat down." for a in ("Ann", "Bob") for b in ("Smith", "Brown", "Jones")]
    (folder / "names.md").write_text("\n\n".join([*lines, "Zebedee sat down."]))
    monkeypatch.setattr(sys, "argv", ["books.py", str(folder), str(manifest(tmp_path))])
    monkeypatch.setattr(books, "LEAST_COUNT", 2)
    books.main()
    said = capsys.readouterr().out.splitlines()
    assert said == [line.lower().rstrip(".") for line in lines]
