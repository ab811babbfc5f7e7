"""`ds2edge data`."""

from __future__ import annotations

from pathlib import Path

import click

FOLDER = click.Path(path_type=Path)
skip_bad_option = click.option(
    "--skip-bad",
    is_flag=True,
    help="Leave out the clips that are of no use, even where they are more than 1 % of 200 or more.",
)
SUBSETS = (
    "train-clean-5",
    "train-clean-100",
    "train-clean-360",
    "train-other-500",
    "dev-clean-2",
    "dev-clean",
    "dev-other",
    "test-clean",
    "test-other",
)


@click.group()
def data() -> None:
    """Prepare speech to train on.

    Every command writes a manifest: one JSON object a line with audio, text, duration, split and speaker.
    """


@data.command()
@click.option(
    "-o",
    "--output",
    "folder",
    default="ljspeech",
    show_default=True,
    type=FOLDER,
    help="Gets the corpus and manifest.jsonl.",
)
@click.option(
    "--from",
    "source",
    type=FOLDER,
    help="A copy that is here already: the archive or the unpacked folder.",
)
@click.option("--url", help="Another address of LJSpeech-1.1.tar.bz2.")
def ljspeech(folder: Path, source: Path | None, url: str | None) -> None:
    """Download LJSpeech 1.1 (one reader, 24 hours, 2.7 GB), or go on with it.

    Splits go by chapter: LJ010 and LJ040 are dev, LJ020, LJ030 and LJ050 test, the other 45 train.
    """
    from ds2edge.train.corpora.ljspeech import URL, import_ljspeech

    import_ljspeech(folder, source, url or URL)


@data.command()
@click.option(
    "--subset",
    "subsets",
    multiple=True,
    required=True,
    type=click.Choice(SUBSETS),
    help="Once or more.",
)
@click.option(
    "-o",
    "--output",
    "folder",
    default="librispeech",
    show_default=True,
    type=FOLDER,
    help="Gets the subsets and manifest.jsonl.",
)
@click.option(
    "--from",
    "source",
    type=FOLDER,
    help="A folder that has the subsets already, packed or unpacked.",
)
@click.option("--mirror", help="Instead of https://www.openslr.org/resources.")
def librispeech(
    subsets: tuple[str, ...], folder: Path, source: Path | None, mirror: str | None
) -> None:
    """Download parts of LibriSpeech (many readers of audio books), or go on with it.

    The first word of a subset's name is its split. Small ones to begin with: train-clean-5, dev-clean-2, test-clean.
    """
    from ds2edge.train.corpora.librispeech import MIRROR, import_librispeech

    import_librispeech(subsets, folder, source, mirror or MIRROR)


@data.command()
@click.argument("release", metavar="DIR", type=FOLDER)
@click.option(
    "-o",
    "--output",
    "folder",
    type=FOLDER,
    help="Gets manifest.jsonl; by default the folder of DIR.",
)
@skip_bad_option
def commonvoice(release: Path, folder: Path | None, skip_bad: bool) -> None:
    """Write the manifest of a Common Voice release, of read sentences or of spontaneous speech.

    DIR is the folder of a language, a folder above it, or the .tar.gz from commonvoice.mozilla.org (which gives it to
    those who sign in). Splits are Common Voice's own.
    """
    from ds2edge.train.corpora.commonvoice import import_commonvoice

    folder = folder or (release.parent if release.is_file() else release)
    import_commonvoice(release, folder, skip_bad)


@data.command()
@click.argument("source", type=FOLDER)
@click.option(
    "-o",
    "--output",
    "output",
    type=FOLDER,
    help="Gets manifest.jsonl; the folder of SOURCE if not given.",
)
@click.option(
    "--dev-share",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Of what is drawn.",
)
@click.option(
    "--test-share",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Of what is drawn.",
)
@click.option(
    "--split-by",
    default="speaker",
    show_default=True,
    type=click.Choice(["speaker", "file"]),
    help="What is drawn; clips without a speaker are drawn by file.",
)
@click.option("--folder-is-speaker", is_flag=True, help="The folder a clip lies in is its speaker.")
@skip_bad_option
def folder(
    source: Path,
    output: Path | None,
    dev_share: float,
    test_share: float,
    split_by: str,
    folder_is_speaker: bool,
    skip_bad: bool,
) -> None:
    """Write the manifest of recordings of your own.

    SOURCE is a folder, in which each sound file has its text beside it in a .txt, or a CSV or TSV file with the columns
    audio and text, and if wanted split and speaker, or a metadata.csv in LJSpeech's form (id|text). Splits are drawn by
    a hash, so that a clip keeps its own when others come later.
    """
    from ds2edge.train.corpora.folder import import_folder

    output = output or (source if source.is_dir() else source.parent)
    import_folder(
        source,
        output,
        dev_share,
        test_share,
        by_speaker=split_by == "speaker",
        folder_is_speaker=folder_is_speaker,
        skip_bad=skip_bad,
    )


@data.command()
@click.argument("manifests", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--plot",
    "picture",
    type=click.Path(path_type=Path),
    help="Histograms as a picture (.png, .svg, .pdf).",
)
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Name every clip that is found fault with, not the first five.",
)
def check(manifests: tuple[Path, ...], picture: Path | None, every: bool) -> None:
    """Hear every clip of MANIFESTS and say what is in them and what is wrong.

    Exit code 1 if a clip cannot be used: unreadable, cut short, without a letter, or the same audio in two splits.
    """
    from ds2edge.runtime.errors import QualityCheckFailed
    from ds2edge.train.data.check import check as run_check
    from ds2edge.train.data.check_report import lines, plot

    result = run_check(manifests)
    for line in lines(result, every):
        click.echo(line)
    if picture:
        plot(result, picture)
    if result.errors:
        raise QualityCheckFailed(f"{result.errors} clips cannot be used as they are")


@data.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder to make.",
)
@click.option(
    "--clips",
    default=3,
    show_default=True,
    type=click.IntRange(min=1),
    help="How often each clip is used.",
)
@click.option(
    "--words",
    default=(3, 7),
    show_default=True,
    type=(int, int),
    help="Fewest and most clips in a row.",
)
@click.option(
    "--dev-share",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0, 0.5),
    help="Share of the training clips that become split dev, where the manifest has none.",
)
@click.option("--seed", default=1, show_default=True)
def join(
    manifest: Path, folder: Path, clips: int, words: tuple[int, int], dev_share: float, seed: int
) -> None:
    """Join short clips of one speaker into longer ones (spoken digits into numbers, say).

    Splits stay apart. The folder gets audio (FLAC) and manifest.jsonl.
    """
    from ds2edge.train.data.join import join_clips

    join_clips(manifest, folder, uses=clips, lengths=words, dev_share=dev_share, seed=seed)
