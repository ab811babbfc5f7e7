"""Tests the Android library on the desktop, with Robolectric.

    python devices/android/check_library.py

Needs Maven and a JDK of version 17.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from build_apk import HERE, fetch

TESTS = ["org.ds2edge.android.TranscriberTest", "org.ds2edge.android.SoundQueueTest"]


def main(work: Path) -> int:
    """Compiles core, library and tests in the folder `work`, and returns the exit code."""
    libraries = fetch(work / "libraries")
    # Android comes last: it holds an old JUnit too.
    jars = sorted(libraries.glob("*.jar"), key=lambda jar: jar.name.startswith("android-all"))
    sources = [
        path
        for folder in ("core/src/main", "library/src/main", "library/src/robolectric")
        for path in (HERE / folder).rglob("*.java")
    ]
    classes = work / "classes"
    path = os.pathsep.join(map(str, [classes, *jars]))
    compiler = ["javac", "--release", "8", "-encoding", "UTF-8", "-nowarn", "-proc:none"]
    subprocess.run([*compiler, "-cp", path, "-d", classes, *sources], check=True)
    settings = {
        "project": HERE.parents[1],
        "robolectric.offline": "true",
        "robolectric.dependency.dir": libraries,
        "robolectric.usePreinstrumentedJars": "false",
        "robolectric.graphicsMode": "LEGACY",
    }
    options = [f"-D{name}={value}" for name, value in settings.items()]
    command = ["java", *options, "-cp", path, "org.junit.runner.JUnitCore", *TESTS]
    return subprocess.run(command).returncode


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(main(Path(scratch)))
