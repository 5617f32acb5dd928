"""`bijlighar meter modems`: who has called in, since when, with which facts, and what is in quarantine."""

from datetime import datetime

import click

from bijlighar.base.period import IST
from bijlighar.base.words import LANGUAGES, Language
from bijlighar.cli.common import format_option, home_option, print_json, print_table
from bijlighar.headend import queries
from bijlighar.headend.queries import KindCount, Modem, Quarantined
from bijlighar.headend.rules import modem_words
from bijlighar.runtime.home import Home

SHOWN_MAX = 1_000


@click.command()
@click.option("--lang", type=click.Choice(LANGUAGES), default="en", show_default=True)
@format_option()
@home_option
def modems(lang: Language, output_format: str, home: Home) -> None:
    """
    Show the modems that called in or registered, what is known of each, and what was refused.

    A fact without "trusted since" is a claim: it is believed once an association with a meter behind the modem holds.
    """
    with home.database.read() as connection:
        known = queries.modems(connection, limit=SHOWN_MAX)
        held = queries.quarantined(connection, limit=SHOWN_MAX)
        kinds = queries.push_kinds(connection)
        counts = queries.push_counts(connection)
    if output_format == "json":
        print_json(
            {
                "modems": [_modem_document(modem) for modem in known],
                "quarantine": [_held_document(one) for one in held],
                "pushes": counts,
                "kinds": {kind: _kind_document(one) for kind, one in kinds.items()},
            }
        )
        return
    _print_modems(known, lang)
    _print_rest(held, tuple(kinds.values()), lang)


def _print_modems(known: tuple[Modem, ...], lang: Language) -> None:
    print_table(
        title=_word("title", lang),
        columns=[_word(name, lang) for name in ("modem", "state", "since", "address", "calls", "proven")],
        rows=[
            (
                modem.name,
                _word(_state(modem), lang),
                _text(modem.called_at if modem.is_there else modem.gone_at or modem.heard_at),
                modem.source,
                modem.calls,
                f"{modem.proven_by}, {_text(modem.proven_at)}" if modem.proven_by else "",
            )
            for modem in known
        ],
        right=(_word("calls", lang),),
    )
    print_table(
        title=_word("facts", lang),
        columns=[_word(name, lang) for name in ("modem", "fact", "value", "since", "trusted")],
        rows=[
            (
                modem.name,
                _word(fact.kind.value, lang),
                fact.value,
                _text(fact.since),
                _text(fact.trusted_at) or _word("claim", lang),
            )
            for modem in known
            for fact in modem.facts
        ],
    )


def _print_rest(held: tuple[Quarantined, ...], kinds: tuple[KindCount, ...], lang: Language) -> None:
    print_table(
        title=_word("quarantine", lang),
        columns=[_word(name, lang) for name in ("sender", "code", "count", "last", "note")],
        rows=[(one.sender, one.code, one.count, _text(one.last_at), one.note) for one in held],
        right=(_word("count", lang),),
    )
    print_table(
        title=_word("pushes", lang),
        columns=[_word(name, lang) for name in ("kind", "placed", "unplaced", "last", "note")],
        rows=[(one.kind, one.placed, one.unplaced, _text(one.last_at), one.note) for one in kinds],
        right=(_word("placed", lang), _word("unplaced", lang)),
    )


def _state(modem: Modem) -> str:
    if modem.called_at is None:
        return "pushes_only"
    return "there" if modem.is_there else "gone"


def _modem_document(modem: Modem) -> dict[str, object]:
    return {
        "name": modem.name,
        "state": _state(modem),
        "first_at": _text(modem.first_at),
        "heard_at": _text(modem.heard_at),
        "called_at": _text(modem.called_at),
        "gone_at": _text(modem.gone_at),
        "calls": modem.calls,
        "address": modem.source,
        "proven_at": _text(modem.proven_at),
        "proven_by": modem.proven_by,
        "facts": [
            {
                "kind": fact.kind.value,
                "value": fact.value,
                "since": _text(fact.since),
                "seen_at": _text(fact.seen_at),
                "trusted_at": _text(fact.trusted_at),
            }
            for fact in modem.facts
        ],
    }


def _held_document(one: Quarantined) -> dict[str, object]:
    return {
        "sender": one.sender,
        "code": one.code,
        "count": one.count,
        "note": one.note,
        "frame": one.frame.hex(),
        "first_at": _text(one.first_at),
        "last_at": _text(one.last_at),
    }


def _kind_document(one: KindCount) -> dict[str, object]:
    return {
        "placed": one.placed,
        "unplaced": one.unplaced,
        "note": one.note,
        "last_at": _text(one.last_at),
    }


def _word(name: str, lang: Language) -> str:
    return modem_words(name).in_language(lang)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(IST).isoformat(timespec="seconds")
