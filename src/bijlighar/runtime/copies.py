"""The company's own copies of the shipped policy and tariff books: made once, never overwritten."""

import os
import re
from pathlib import Path

from bijlighar.arrears import operations as arrears
from bijlighar.base.errors import BijligharError
from bijlighar.runtime.home import Home
from bijlighar.runtime.settings import BrokenSettings, Settings, load_settings
from bijlighar.tariffs import operations as tariffs

POLICY_FILE = "policy.toml"
SETTINGS_FILE = "settings.toml"


class CopyRefused(BijligharError):
    """The shipped policy and tariff books cannot be copied into the home."""

    code = "runtime.copy-refused"


def copy_shipped(home: Home) -> tuple[Path, ...]:
    """
    Copy the shipped policy and tariff books into a home, let its settings name the policy, and return the copies.

    :raises CopyRefused: if the home has any of them already, or cannot be written; nothing is changed then.
    """
    settings = home.settings
    policy = home.path / (settings.text("policy") or POLICY_FILE)
    folder = home.path / settings.text("tariffs")
    books = {folder / file.name: file.read_text(encoding="utf-8") for file in tariffs.shipped_books()}
    _check_free(policy=policy, folder=folder)
    naming = _settings_naming(home, settings=settings, policy=policy)
    home.make()
    texts = {policy: arrears.shipped_policy(), **books}
    written: list[Path] = []
    try:
        for holder in (folder, policy.parent):
            holder.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            with file.open("x", encoding="utf-8") as output:
                written.append(file)
                output.write(text)
        if naming is not None:
            _replace(home.path / SETTINGS_FILE, naming)
    except OSError as problem:
        for file in written:
            file.unlink()
        raise CopyRefused(
            f"{problem.filename} cannot be written: {problem.strerror}; nothing was copied"
        ) from None
    return tuple(texts)


def _check_free(*, policy: Path, folder: Path) -> None:
    if policy.exists():
        raise CopyRefused(f"{policy} is there already and is not overwritten; edit it, or move it away first")
    present = next(iter(sorted(folder.glob("*.toml"))), None)
    if present is not None:
        raise CopyRefused(
            f"{folder} has tariff books already ({present.name}); edit them, or move them away first"
        )


def _settings_naming(home: Home, *, settings: Settings, policy: Path) -> str | None:
    """Return the text of the settings that names the policy, None where they name it already."""
    if settings.text("policy"):
        return None
    file = home.path / SETTINGS_FILE
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    named = rf'policy = "{policy.name}"'
    changed, there = re.subn(r'(?m)^policy[ \t]*=[ \t]*""', lambda _: named, text, count=1)
    if not there:
        changed = f"{named}\n{text}"  # above any table of the file
    try:
        found = load_settings(text=changed, environment={}).text("policy")
    except BrokenSettings:
        found = ""
    if found != policy.name:
        raise CopyRefused(f"{file} names no policy; write {named} into it first, then copy")
    return changed


def _replace(file: Path, text: str) -> None:
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, file)
