"""The command `ds2edge data`."""

from __future__ import annotations

from pathlib import Path

import click

PATH = click.Path(path_type=Path)
SHARE = click.FloatRange(0, 1)
# Listed here, not imported: `--help` must not load the importer.
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

skip_bad_option = click.option(
    "--skip-bad",
    is_flag=True,
    help="Skip unusable clips even if they are more than 1 % of a large corpus.",
)


@click.group()
def data() -> None:
    """Prepare speech for training.

    All commands but `check` write a manifest: one JSON object per line with the audio file, text,
    duration, split and speaker of a clip.
    """


@data.command(short_help="Download LJSpeech: one reader, 24 hours.")
@click.option(
    "-o",
    "--output",
    "folder",
    default="ljspeech",
    show_default=True,
    type=PATH,
    help="Output folder for the corpus and manifest.jsonl.",
)
@click.option(
    "--from",
    "source",
    type=PATH,
    help="Use this local archive or unpacked folder instead of downloading.",
)
@click.option("--url", help="Download LJSpeech-1.1.tar.bz2 from this address.")
@skip_bad_option
def ljspeech(folder: Path, source: Path | None, url: str | None, skip_bad: bool) -> None:
    """Download LJSpeech 1.1 (one reader, 24 hours, 2.7 GB) and write its manifest.

    Run the command again to resume an interrupted download. Splits follow the chapters: LJ010 and
    LJ040 are dev, LJ020, LJ030 and LJ050 are test, the other 45 are train.
    """
    from ds2edge.train.corpora.ljspeech import URL, import_ljspeech

    import_ljspeech(folder, source, url or URL, skip_bad)


@data.command(short_help="Download parts of LibriSpeech: audio books, many readers.")
@click.option(
    "--subset",
    "subsets",
    multiple=True,
    required=True,
    type=click.Choice(SUBSETS),
    metavar="NAME",
    help=f"Subset to download; repeat the option for several. One of {', '.join(SUBSETS)}.",
)
@click.option(
    "-o",
    "--output",
    "folder",
    default="librispeech",
    show_default=True,
    type=PATH,
    help="Output folder for the subsets and manifest.jsonl.",
)
@click.option(
    "--from",
    "source",
    type=PATH,
    help="Use the archives or unpacked subsets in this folder instead of downloading.",
)
@click.option(
    "--mirror", help="Download from this address instead of https://www.openslr.org/resources."
)
@skip_bad_option
def librispeech(
    subsets: tuple[str, ...], folder: Path, source: Path | None, mirror: str | None, skip_bad: bool
) -> None:
    """Download parts of LibriSpeech (audio books by many readers) and write a manifest.

    Run the command again to resume an interrupted download. The first word of a subset's name is
    its split. Good small subsets to start with are train-clean-5, dev-clean-2 and test-clean.
    """
    from ds2edge.train.corpora.librispeech import MIRROR, import_librispeech

    import_librispeech(subsets, folder, source, mirror or MIRROR, skip_bad)


@data.command(short_help="Import a Common Voice release.")
@click.argument("release", type=PATH)
@click.option(
    "-o",
    "--output",
    "folder",
    type=PATH,
    help="Output folder for manifest.jsonl.  [default: the folder of RELEASE]",
)
@skip_bad_option
def commonvoice(release: Path, folder: Path | None, skip_bad: bool) -> None:
    """Write the manifest of a Common Voice release: read sentences or spontaneous speech.

    RELEASE is the folder of a language, a folder above it, or the .tar.gz file from
    commonvoice.mozilla.org, where you sign in to download it. The splits are Common Voice's own.
    """
    from ds2edge.train.corpora.commonvoice import import_commonvoice

    folder = folder or (release.parent if release.is_file() else release)
    import_commonvoice(release, folder, skip_bad)


@data.command(short_help="Import your own recordings.")
@click.argument("source", type=PATH)
@click.option(
    "-o",
    "--output",
    "output",
    type=PATH,
    help="Output folder for manifest.jsonl.  [default: the folder of SOURCE]",
)
@click.option(
    "--dev-share", default=0.05, show_default=True, type=SHARE, help="Share of split dev."
)
@click.option(
    "--test-share", default=0.05, show_default=True, type=SHARE, help="Share of split test."
)
@click.option(
    "--split-by",
    default="speaker",
    show_default=True,
    type=click.Choice(["speaker", "file"]),
    help="Assign splits by speaker or by file. Clips without a speaker are split by file.",
)
@click.option(
    "--folder-is-speaker",
    is_flag=True,
    help="Take the name of the folder that holds a clip as its speaker.",
)
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
    """Write the manifest of your own recordings.

    \b
    SOURCE is one of these:
    - a folder in which each sound file has its text beside it in a .txt file,
    - a CSV or TSV file with the columns audio and text,
      and optionally split and speaker,
    - a metadata.csv in the layout of LJSpeech (id|text).

    A hash assigns the splits, so a clip keeps its split when you add others.
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


@data.command(short_help="Check all clips of manifests.")
@click.argument("manifests", nargs=-1, required=True, type=PATH)
@click.option(
    "--plot",
    "picture",
    type=PATH,
    help="Draw histograms into this file (.png, .svg or .pdf).",
)
@click.option("--all", "name_all", is_flag=True, help="Name every clip with a problem, not just 5.")
def check(manifests: tuple[Path, ...], picture: Path | None, name_all: bool) -> None:
    """Read every clip of MANIFESTS, describe the data and list problems.

    The exit code is 1 if clips cannot be used: a file is unreadable or cut short, no letter is left
    of a text, a text does not fit into its audio, or two splits hold the same audio.
    """
    from ds2edge.runtime.errors import QualityCheckFailed
    from ds2edge.train.data.check import check as run_check
    from ds2edge.train.data.check_report import lines, plot, require_plottable

    if picture:
        require_plottable(picture)
    result = run_check(manifests)
    for line in lines(result, name_all):
        click.echo(line)
    if picture:
        plot(result, picture)
    if result.errors:
        raise QualityCheckFailed(f"{result.errors} clips cannot be used as they are")


@data.command(short_help="Join short clips into longer ones.")
@click.argument("manifest", type=PATH)
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=PATH,
    help="Output folder for the audio (FLAC) and manifest.jsonl.",
)
@click.option(
    "--clips",
    default=3,
    show_default=True,
    type=click.IntRange(min=1),
    help="Number of times that each clip is used.",
)
@click.option(
    "--words",
    default=(3, 7),
    show_default=True,
    type=(int, int),
    help="Minimum and maximum number of clips to join.",
)
@click.option(
    "--dev-share",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0, 0.5),
    help="Share of the training clips that becomes split dev if MANIFEST has none.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of the random numbers.")
def join(
    manifest: Path, folder: Path, clips: int, words: tuple[int, int], dev_share: float, seed: int
) -> None:
    """Join short clips of one speaker into longer ones, for example spoken digits into numbers.

    Only clips of the same split are joined.
    """
    from ds2edge.train.data.join import join_clips

    join_clips(manifest, folder, uses=clips, lengths=words, dev_share=dev_share, seed=seed)
