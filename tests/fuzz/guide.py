"""
What makes the fuzzer see where it goes: an import hook that marks every block of the protocol's modules.

Each body of a function, branch, loop, handler and case gets one assignment to one octet of `MAP`. That costs some
twenty nanoseconds, so millions of inputs can be tried in minutes.
"""

import ast
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

PACKAGE = "bijlighar.dlms."
MAP_OCTETS = 1 << 11

#: One octet a block: 1 where a run has been.
MAP = bytearray(MAP_OCTETS)


class _Marker(ast.NodeTransformer):
    """Puts a mark at the start of every block inside functions."""

    def __init__(self) -> None:
        self.count = 0

    def _mark(self, body: list[ast.stmt]) -> list[ast.stmt]:
        mark = ast.parse(f"_fuzz_map[{self.count}] = 1").body
        self.count += 1
        return [*mark, *body]

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, ast.Module | ast.ClassDef):
            return node
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
                setattr(node, field, self._mark(body))
        return node


_MARKER = _Marker()


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path)
        tree = ast.fix_missing_locations(_MARKER.visit(ast.parse(source)))
        return compile(tree, self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["_fuzz_map"] = MAP
        super().exec_module(module)


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(PACKAGE):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin)
        return spec


def install() -> None:
    """Mark all modules of the protocol that are imported from now on; there must be none yet."""
    loaded = [name for name in sys.modules if name.startswith(PACKAGE)]
    assert loaded == [], f"imported too early: {loaded}"
    sys.meta_path.insert(0, _Finder())


def blocks() -> int:
    """How many blocks are marked."""
    assert _MARKER.count <= MAP_OCTETS, "the map is too small"
    return _MARKER.count
