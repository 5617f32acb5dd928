"""`bijlighar registry keys`: take in the keys of meters."""

from pathlib import Path

import click

from bijlighar.cli.adapters import adapter_option, adapter_text, read_octets
from bijlighar.cli.common import home_option, print_line
from bijlighar.cli.office import FILE, read_text
from bijlighar.headend import operations
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import KEY_ENCRYPTION_KEY, Line


@click.command(name="keys")
@click.argument("file", type=FILE)
@adapter_option
@click.option("--kek", type=FILE, help="With --adapter: a file with the vendor's key-encryption key, in hex.")
@click.option("--as", "person", metavar="PERSON", help="Who does this; it is recorded.")
@home_option
def keys(file: Path, adapter: str | None, kek: Path | None, person: str | None, home: Home) -> None:
    """
    Take in the keys of meters from FILE, whole or not at all, and store them encrypted.

    FILE is a JSON list of {"url", "serial", "system_title", "ek", "ak", "lls", "hls"}; keys and titles in hex,
    passwords as text. Beside these it may hold "setting_ek" and "setting_ak" (of client 48 where the meter has others
    for it), "push_ek" and "push_ak" (of what it pushes, where it has others for that), "master" (wraps new keys) and
    "factory": true, for a meter that may be read but not commanded until its keys are changed. The keys of a known
    meter are replaced. What reads meters is stored in the database, encrypted with a key in the home's folder `keys`;
    what commands them in the gate's own folder, with a key there.

    With --adapter, FILE is a vendor's CSV or XML. The same keys again change nothing, other keys of a known meter are
    refused.
    """
    if adapter is None and kek is not None:
        raise click.UsageError("--kek goes with --adapter")
    if adapter is None:
        meters = operations.read_keys_file(read_text(file))
    else:
        text = adapter_text(adapter, home=home, shipped=operations.shipped_key_adapters())
        meters = operations.read_vendor_keys(
            read_octets(file),
            adapter=operations.key_adapter(text, name=adapter),
            file=file.name,
            wrapping_key=None if kek is None else operations.read_wrapping_key(read_text(kek)),
        )
    known = 0
    key_encryption_key = home.key(KEY_ENCRYPTION_KEY)
    now = home.clock.now()
    gate = Line(home).found_gate()
    with home.database.write() as connection:
        if person is not None:
            offices.authorise(connection, sign_in=person, act=Act.IMPORT_KEYS, office=None)
        if adapter is not None:
            found = operations.new_keys(
                connection, gate=gate, keys=meters, key_encryption_key=key_encryption_key
            )
            meters, known = found.new, found.known
        stored = operations.store_keys_apart(
            connection, gate=gate, keys=meters, key_encryption_key=key_encryption_key, now=now
        )
        offices.record_act(
            connection,
            person=person or offices.SYSTEM,
            act=Act.IMPORT_KEYS,
            subject="keys",
            detail={"file": file.name, "meters": stored},
            now=now,
        )
    print_line(f"the keys of {stored} meters are stored, encrypted")
    if known:
        print_line(f"{known} meters were stored before with these same keys; nothing was changed for them")
