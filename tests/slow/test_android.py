"""The Android app is built without Gradle, taken apart, and refused where something is wrong."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import GOLDEN, MINI

from ds2edge.devices.android_assets import android

ANDROID = Path(__file__).parents[2] / "devices" / "android"
SPEECH = next((MINI.parent / "audio").glob("kokoro-am_michael_0*.ogg"))
PROGRAMS = [
    *("aapt", "aapt2", "apksigner", "dexdump", "javac", "keytool", "mvn", "readelf", "zipalign"),
]
MISSING = [program for program in PROGRAMS if not shutil.which(program)]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ANDROID / script, *arguments]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True)


@pytest.fixture(scope="module")
def apk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("android")
    assets, apk = folder / "assets", folder / "app.apk"
    arguments = ["-m", str(GOLDEN), "--clip", str(SPEECH), "-o", str(assets)]
    done = CliRunner().invoke(android, arguments)
    assert done.exit_code == 0, done.output
    built = run("build_apk.py", "--assets", assets, "-o", apk)
    if "Could not transfer artifact" in built.stderr:
        pytest.skip("Maven Central cannot be reached")
    assert built.returncode == 0, built.stderr
    return apk


def test_builds_an_apk_in_which_nothing_is_wrong(apk):
    with zipfile.ZipFile(apk) as archive:
        assert archive.read("assets/model.tflite") == GOLDEN.read_bytes()
        assert "assets/parity.i16" in archive.namelist()


def test_says_which_libraries_do_not_suit_pages_of_16_kb(apk):
    done = run("check_apk.py", apk)
    assert done.returncode == 1
    assert "lib/arm64-v8a/libtensorflowlite_jni.so is aligned to 4096 bytes" in done.stderr


def test_finds_what_is_missing_or_compressed(apk, tmp_path):
    broken = tmp_path / "broken.apk"
    with zipfile.ZipFile(apk) as source, zipfile.ZipFile(broken, "w") as target:
        for member in source.infolist():
            if "armeabi" not in member.filename:
                target.writestr(member.filename, source.read(member), zipfile.ZIP_DEFLATED)
    done = run("check_apk.py", broken, "--pages", "4")
    assert done.returncode == 1
    assert "assets/model.tflite is compressed" in done.stderr
    assert "libraries are for ['arm64-v8a', 'x86', 'x86_64']" in done.stderr
    assert "lib/x86_64/libtensorflowlite_jni.so is compressed" in done.stderr
    assert "the signature is not valid" in done.stderr


def test_needs_a_model(tmp_path):
    done = run("build_apk.py", "--assets", tmp_path, "-o", tmp_path / "app.apk")
    assert done.returncode == 2
    assert "no model.tflite: run `ds2edge android -o" in done.stderr
    assert not Path(tmp_path / "app.apk").exists()


def test_hears_through_audiorecord_what_python_hears():
    done = run("check_library.py")
    if "Could not transfer artifact" in done.stderr:
        pytest.skip("Maven Central cannot be reached")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK (5 tests)" in done.stdout
