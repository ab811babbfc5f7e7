"""Builds the demo app without Gradle and the Android SDK.

    ds2edge android -o devices/android/app/src/main/assets
    python devices/android/build_apk.py -o ds2edge.apk

On Debian 12 it needs:

    apt-get install aapt android-framework-res apksigner binutils dexdump maven zipalign

This proves that everything compiles and fits into an APK. Build an app for users with Gradle,
which takes a newer LiteRT than Maven Central has.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import check_apk
import click

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
PACKAGE = "org.ds2edge.demo"
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
PROGRAMS = [
    *("aapt", "aapt2", "apksigner", "dexdump", "javac", "keytool", "mvn", "readelf", "zipalign"),
]
SOURCES = ["core", "library", "app"]
ANDROID = "http://schemas.android.com/apk/res/android"
PAGE = 16384  # bytes; the offset of every uncompressed member is a multiple of it
PASSWORD = "android"  # of the key for debugging, as in the Android SDK


@click.command()
@click.option(
    "--assets",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    default=HERE / "app/src/main/assets",
    help="What `ds2edge android -o` wrote.  [default: the assets of the app]",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    required=True,
    help="APK to write.",
)
def main(assets: Path, output: Path) -> None:
    """Build, sign and check the demo app with Debian's Android tools."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    missing += [str(FRAMEWORK)] if not FRAMEWORK.exists() else []
    if missing:
        raise click.UsageError(f"not installed: {', '.join(missing)}: see {__file__}")
    if not (assets / "model.tflite").is_file():
        raise click.UsageError(f"{assets}: no model.tflite: run `ds2edge android -o {assets}`")
    with tempfile.TemporaryDirectory() as scratch:
        apk = build(assets, Path(scratch))
        shutil.copyfile(apk, output)
    check_apk.main([str(output), "--pages", "4"])


def build(assets: Path, work: Path) -> Path:
    """Returns a signed APK in the folder `work`."""
    libraries = fetch(work / "libraries")
    resources = link(assets, work)
    dex = compile_java(libraries, work)
    with zipfile.ZipFile(resources, "a", zipfile.ZIP_DEFLATED) as apk:
        apk.write(dex, "classes.dex")
        for path in sorted((libraries / "jni").rglob("*.so")):
            name = str(path.relative_to(libraries / "jni"))
            apk.write(path, f"lib/{name}", zipfile.ZIP_STORED)
    return sign(resources, work)


def fetch(folder: Path) -> Path:
    """Takes from Maven Central what tools/pom.xml lists, and unpacks the aar files."""
    goal = "dependency:copy-dependencies"
    _run("mvn", "-q", "-B", "-f", HERE / "tools/pom.xml", goal, f"-DoutputDirectory={folder}")
    for path in folder.glob("*.aar"):
        with zipfile.ZipFile(path) as aar:
            path.with_suffix(".jar").write_bytes(aar.read("classes.jar"))
            aar.extractall(folder, [name for name in aar.namelist() if name.startswith("jni/")])
    return folder


def link(assets: Path, work: Path) -> Path:
    """Compiles the resources. Writes R.java, and an APK without code."""
    versions = tomllib.loads((HERE / "gradle/libs.versions.toml").read_text())["versions"]
    manifest = HERE / "app/src/main/AndroidManifest.xml"
    _run("aapt2", "compile", "--dir", manifest.parent / "res", "-o", work / "resources.zip")
    _run(
        *("aapt2", "link", "-I", FRAMEWORK, "--manifest", _complete(manifest, work), "-A", assets),
        *("--min-sdk-version", versions["minSdk"], "--target-sdk-version", versions["targetSdk"]),
        *("--version-code", versions["versionCode"], "--version-name", versions["versionName"]),
        *("-0", ".tflite", "--java", work / "generated", "-o", work / "resources.apk"),
        work / "resources.zip",
    )
    return work / "resources.apk"


def _complete(manifest: Path, work: Path) -> Path:
    """Adds what Gradle adds to a manifest."""
    ElementTree.register_namespace("android", ANDROID)
    tree = ElementTree.parse(manifest)
    root = tree.getroot()
    root.set("package", PACKAGE)
    application = root.find("application")
    assert application is not None
    application.set(f"{{{ANDROID}}}extractNativeLibs", "false")
    application.set(f"{{{ANDROID}}}debuggable", "true")
    tree.write(work / "AndroidManifest.xml", "utf-8", xml_declaration=True)
    return work / "AndroidManifest.xml"


def compile_java(libraries: Path, work: Path) -> Path:
    """Compiles all modules at once, and makes classes.dex of them and of LiteRT."""
    sources = [path for module in SOURCES for path in (HERE / module / "src/main").rglob("*.java")]
    sources += (work / "generated").rglob("*.java")
    classes = work / "classes"
    jars = [
        path
        for name in ("android-all", "tensorflow-lite")
        for path in libraries.glob(f"{name}-*.jar")
    ]
    warnings = ["-Xlint:all,-options,-classfile", "-Werror", "-proc:none"]
    _run(
        *("javac", "--release", "8", "-encoding", "UTF-8", *warnings, "-d", classes),
        *("-cp", os.pathsep.join(map(str, jars)), *sources),
    )
    versions = tomllib.loads((HERE / "gradle/libs.versions.toml").read_text())["versions"]
    _run(
        *(
            "java",
            "-cp",
            next(libraries.glob("dalvik-dx-*.jar")),
            "com.android.dx.command.Main",
            "--dex",
        ),
        *(f"--min-sdk-version={versions['minSdk']}", f"--output={work / 'classes.dex'}"),
        *(classes, *libraries.glob("tensorflow-lite*.jar")),
    )
    return work / "classes.dex"


def sign(apk: Path, work: Path) -> Path:
    """Aligns the members and signs with a new key."""
    aligned = work / "app.apk"
    _run("zipalign", "-f", str(PAGE), apk, aligned)
    key = work / "debug.keystore"
    _run(
        *("keytool", "-genkeypair", "-keystore", key, "-alias", "debug", "-keyalg", "RSA"),
        *("-dname", "CN=Android Debug", "-validity", "10000", "-storepass", PASSWORD),
    )
    _run("apksigner", "sign", "--ks", key, "--ks-pass", f"pass:{PASSWORD}", aligned)
    return aligned


def _run(*command: str | Path) -> None:
    """Runs a program. Its output is shown if it fails, and then this program ends."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        click.echo(done.stdout, err=True)
        raise click.ClickException(f"{command[0]} failed: see above")


if __name__ == "__main__":
    main()
