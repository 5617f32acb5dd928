"""The rules of the house that import contracts cannot say."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "src" / "bijlighar"
BUSINESS_ROOMS = (
    "alarms",
    "arrears",
    "balance",
    "rollout",
    "billing",
    "headend",
    "simulator",
    "validation",
    "tariffs",
    "ledger",
    "notices",
    "readings",
    "registry",
    "offices",
)
ROOMS = tuple(sorted(folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file()))
OPEN_MODULES = {"model", "errors", "rules", "queries", "operations"}
README_HEADINGS = ["Owns", "Does not own", "Invariants", "Time"]
SOURCES = tuple(sorted(PACKAGE.rglob("*.py")))
#: Modules that are started, not imported.
STARTED = {"bijlighar.__main__", "bijlighar.storage.migrations.env"}
STARTED_FOLDERS = ("bijlighar.storage.migrations.versions.", "bijlighar.cli.")


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of everything a module imports from the package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def breaches_of_doors() -> list[str]:
    found = []
    for path in SOURCES:
        for line, name in imports(path):
            parts = name.split(".")
            if parts[0] != "bijlighar" or len(parts) < 3 or parts[1] not in BUSINESS_ROOMS:
                continue
            if parts[1] != room_of(path) and parts[2] not in OPEN_MODULES:
                found.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    return found


class TestDoors:
    def test_are_the_only_way_into_a_business_room(self):
        assert breaches_of_doors() == []


class TestPackage:
    def test_imports_nothing_by_itself(self):
        assert list(imports(PACKAGE / "__init__.py")) == []

    def test_reads_the_clock_only_in_runtime(self):
        pattern = re.compile(r"datetime\.(now|utcnow)\(|time\.time\(|date\.today\(")
        found = [
            str(path) for path in SOURCES if room_of(path) != "runtime" and pattern.search(path.read_text())
        ]
        assert found == []

    def test_opens_no_file_in_the_pure_core(self):
        pure = [
            path
            for path in SOURCES
            if room_of(path) in ("dlms", "base") or path.name in ("rules.py", "model.py")
        ]
        found = [str(path) for path in pure if re.search(r"(?<![\w.])(?<!def )open\(", path.read_text())]
        assert found == []

    def test_has_no_module_without_an_importer(self):
        imported = {name for path in SOURCES for _, name in imports(path)}
        prefixes = {".".join(name.split(".")[:count]) for name in imported for count in range(1, 6)}
        orphans = [
            name
            for name in map(module_name, SOURCES)
            if name not in prefixes and name not in STARTED and not name.startswith(STARTED_FOLDERS)
        ]
        assert [name for name in orphans if name.count(".") > 1] == []

    def test_names_no_machine(self):
        pattern = re.compile(r"/(work|home/\w+|root)/|files\.pythonhosted|pypi\.org")
        files = [
            path
            for path in ROOT.rglob("*")
            if path.suffix in {".py", ".md", ".toml", ".txt", ".yaml", ".html"}
        ]
        kept = [
            path for path in files if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
        ]
        own = [path for path in kept if "_build" not in path.parts and path != Path(__file__)]
        assert [str(path) for path in own if pattern.search(path.read_text(encoding="utf-8"))] == []


class TestFonts:
    FONTS = tuple(path for path in PACKAGE.rglob("*") if path.suffix in {".ttf", ".otf", ".woff", ".woff2"})

    def test_are_named_in_the_notice_with_their_folder_and_licence(self):
        notice = " ".join((ROOT / "NOTICE").read_text(encoding="utf-8").split())

        assert self.FONTS
        assert "SIL Open Font License, Version 1.1" in notice
        for font in self.FONTS:
            family = "Devanagari" if "devanagari" in font.name.lower() else "Noto Sans (Regular, Bold)"
            assert family in notice
            assert font.parent.relative_to(ROOT).as_posix() in notice

    def test_have_their_licence_beside_them(self):
        for folder in {font.parent for font in self.FONTS}:
            licences = [file for file in folder.iterdir() if file.name.endswith((".LICENSE", "OFL.txt"))]
            assert licences, folder
            assert all("SIL OPEN FONT LICENSE Version 1.1" in file.read_text("utf-8") for file in licences)


class TestFloat:
    @pytest.mark.parametrize("path", SOURCES, ids=module_name)
    def test_never_meets_money_or_energy(self, path: Path):
        found = []
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name | ast.Attribute):
                name = node.target.id if isinstance(node.target, ast.Name) else node.target.attr
                annotation = node.annotation
            elif isinstance(node, ast.arg) and node.annotation is not None:
                name, annotation = node.arg, node.annotation
            elif isinstance(node, ast.FunctionDef) and node.returns is not None:
                name, annotation = node.name, node.returns
            else:
                continue
            if re.search(r"_(paise|wh)$", name) and re.search(r"\bfloat", ast.unparse(annotation)):
                found.append(f"{path.name}:{node.lineno} {name}")
        assert found == []


class TestReadme:
    @pytest.mark.parametrize("room", ROOMS)
    def test_has_the_four_headings_first(self, room: str):
        text = (PACKAGE / room / "README.md").read_text(encoding="utf-8")
        assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE)[:4] == README_HEADINGS


class TestErrorCodes:
    def test_belong_to_their_room_and_are_used_once(self):
        seen: dict[str, str] = {}
        for path in SOURCES:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.ClassDef):
                    continue
                for statement in node.body:
                    if (
                        isinstance(statement, ast.Assign)
                        and isinstance(statement.targets[0], ast.Name)
                        and statement.targets[0].id == "code"
                        and isinstance(statement.value, ast.Constant)
                    ):
                        code = str(statement.value.value)
                        assert code.startswith(f"{room_of(path)}."), (
                            f"{node.name} in {path} has the code {code}"
                        )
                        assert code not in seen, f"{code} is used by {seen[code]} and {node.name}"
                        seen[code] = node.name
        assert seen
