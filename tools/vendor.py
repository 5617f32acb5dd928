"""
Fetch the web's third-party files into the tree: `python tools/vendor.py`.

Each package is fetched by `npm pack` in the registry of the environment, checked against the hash below, and only the
files named here are taken, with their licences. What is fetched is committed: nobody else needs npm.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "src" / "bijlighar" / "web" / "static"
TESTS = ROOT / "tests" / "browser" / "vendor"


@dataclass(frozen=True)
class Package:
    """A package of the npm registry, and where its files go."""

    name: str
    version: str
    integrity: str
    files: dict[str, Path]


PACKAGES = (
    Package(
        "htmx.org",
        "4.0.1",
        "sha512-oF7JgXhDW9UXCy/k1ZYFUQgzu/rm19ORWPSPNL91vPluB2PB9+MV55tyQdH/w7o2EAbTYUG5SDW1R60mdkdqGg==",
        {
            "package/dist/htmx.min.js": STATIC / "vendor" / "htmx.min.js",
            "package/LICENSE": STATIC / "vendor" / "htmx.LICENSE",
        },
    ),
    Package(
        "@fontsource/noto-sans-devanagari",
        "5.3.0",
        "sha512-7khYmipS/5KAUUmrO1DKir8yL8XI00d0+ZE9BqbS8XF1jzObv6CpPOk3UeYxF+Pvi8bx9bBvprBCOcbx/eQWTQ==",
        {
            "package/files/noto-sans-devanagari-devanagari-400-normal.woff2": STATIC
            / "fonts"
            / "noto-sans-devanagari-400.woff2",
            "package/files/noto-sans-devanagari-devanagari-700-normal.woff2": STATIC
            / "fonts"
            / "noto-sans-devanagari-700.woff2",
            "package/LICENSE": STATIC / "fonts" / "noto-sans-devanagari.LICENSE",
        },
    ),
    Package(
        "axe-core",
        "4.14.1",
        "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        {"package/axe.min.js": TESTS / "axe.min.js", "package/LICENSE": TESTS / "axe.LICENSE"},
    ),
)


def fetch(package: Package, folder: Path) -> Path:
    """Return the package's archive, checked against its hash."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm is missing; it is needed only to renew these files")
    told = subprocess.run(  # noqa: S603 - fixed arguments
        [npm, "pack", f"{package.name}@{package.version}", "--json", "--silent"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    archive = folder / str(json.loads(told.stdout)[0]["filename"])
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != package.integrity:
        sys.exit(f"{package.name}@{package.version} is not what it was: {found}")
    return archive


def main() -> None:
    """Fetch everything."""
    with tempfile.TemporaryDirectory() as name:
        for package in PACKAGES:
            with tarfile.open(fetch(package, Path(name))) as archive:
                for inside, place in package.files.items():
                    member = archive.extractfile(inside)
                    if member is None:
                        sys.exit(f"{package.name} has no {inside}")
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(member.read())
            sys.stdout.write(f"{package.name} {package.version}\n")


if __name__ == "__main__":
    main()
