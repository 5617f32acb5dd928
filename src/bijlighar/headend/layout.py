"""What the columns of a meter's profiles are: read once per model and firmware, cached, read again on a mismatch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bijlighar.dlms import axdr, is15959
from bijlighar.dlms.cosem import Attribute, CaptureObject, capture_objects
from bijlighar.dlms.errors import DlmsError
from bijlighar.dlms.event import GetResult
from bijlighar.headend.errors import AccessRefused, UnexpectedLayout
from bijlighar.headend.quirks import ADVICE, LONE_MODEL, NO_QUIRK, SEPARATOR, Quirk
from bijlighar.headend.session import MeterSession

#: Classes whose objects have a scaler and unit: register and extended register (IEC 62056-6-2), attribute 3.
REGISTER_CLASSES = (3, 4)
SCALER_ATTRIBUTE = 3
NO_UNIT = 255
MODEL_LENGTH = 200
#: What names a model on its name plate: maker, type, firmware.
MAKER, TYPE, FIRMWARE = "0.0.96.1.1.255", "0.0.94.91.9.255", "1.0.0.2.0.255"
YEAR = "0.0.96.1.4.255"
#: Without this profile there is nothing to collect; a meter may lack any other.
NEEDED_PROFILE = "block-load"
#: Of these columns of the load profile no scaler may be guessed: imported and exported energy.
NEEDED_SCALERS = ("1.0.1.29.0.255", "1.0.2.29.0.255")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutColumn:
    """One column of a profile: its attribute, and the power of ten and DLMS unit of its values."""

    obis: str
    class_id: int
    attribute: int
    scaler: int = 0
    unit: int = NO_UNIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """
    The profiles of one model of meter: columns by profile, and the length of a block-load interval [s].

    `gives_lists` says whether it was seen to give profiles in one list with other attributes, None if not yet tried.
    `quirk` is how the model differs from what it should be; `quirk_mark` the file
    (and its text) that it was read with.
    """

    model: str
    period_s: int
    profiles: Mapping[str, tuple[LayoutColumn, ...]]
    gives_lists: bool | None = None
    quirk: Quirk = NO_QUIRK
    quirk_mark: str = ""

    def columns(self, profile: str) -> tuple[LayoutColumn, ...]:
        """
        Return the columns of a profile.

        :raises UnexpectedLayout: if this model's were not read, or it has no such profile.
        """
        found = self.profiles.get(profile)
        if not found:
            raise UnexpectedLayout(f"meters of model {self.model} have no profile {profile}; {ADVICE}")
        return found

    def has(self, profile: str) -> bool:
        """Return whether this model's meters have a profile."""
        return bool(self.profiles.get(profile))

    def knows(self, profile: str) -> bool:
        """Return whether it was asked for the columns of a profile."""
        return profile in self.profiles

    def is_of_firmware(self, data: bytes) -> bool:
        """
        Return whether this is the layout of a firmware, told as A-XDR octets.

        A model without a name plate has no firmware that could be compared, and what is no text tells nothing.
        """
        try:
            told = axdr.decode(data)
        except DlmsError:
            return True
        if (
            SEPARATOR not in self.model
            or len(self.model) >= MODEL_LENGTH
            or not isinstance(told, bytes | str)
        ):
            return True
        return self.model.endswith(f"{SEPARATOR}{_text(told)}"[:MODEL_LENGTH])

    def is_read_with(self, other: "Layout") -> bool:
        """Return whether both come from the same reading of the load profile's columns."""
        return self.profiles.get(NEEDED_PROFILE) is other.profiles.get(NEEDED_PROFILE)

    def with_profile(self, profile: str, columns: tuple[LayoutColumn, ...]) -> "Layout":
        """Return the layout with the columns of one more profile."""
        return replace(self, profiles={**self.profiles, profile: columns})

    def document(self) -> dict[str, Any]:
        """Return the layout as a JSON object."""
        return ({"quirk": self.quirk_mark} if self.quirk_mark else {}) | {
            "period_s": self.period_s,
            "gives_lists": self.gives_lists,
            "profiles": {
                name: [asdict(column) for column in columns] for name, columns in self.profiles.items()
            },
        }

    @classmethod
    def of_document(cls, model: str, document: Mapping[str, Any]) -> "Layout":
        """Return the layout of a JSON object."""
        return cls(
            model=model,
            period_s=document["period_s"],
            gives_lists=document.get("gives_lists"),
            profiles={
                name: tuple(LayoutColumn(**column) for column in columns)
                for name, columns in document["profiles"].items()
            },
            quirk_mark=document.get("quirk", ""),
        )


async def read_columns(
    session: MeterSession, profile: str, *, quirk: Quirk = NO_QUIRK
) -> tuple[LayoutColumn, ...]:
    """
    Return the columns of a profile as the meter tells them, with their scalers; none if it has no such profile.

    Scalers come from the quirk, else from the profile's scaler profile, and for what that does not name from each
    register itself.

    :raises HeadEndError: if the meter does not tell.
    """
    plan = quirk.plan(profile)
    data = await session.get_if_any(plan.captured)
    captured = () if data is None else capture_objects(data)
    scalers = await _scaler_profile(session, plan)
    columns: list[LayoutColumn] = []
    for column in captured:
        obis = str(column.obis)
        scaler, unit = 0, NO_UNIT
        if column.attribute == 2 and column.class_id in REGISTER_CLASSES:
            known = quirk.scalers.get(obis) or scalers.get(obis)
            scaler, unit = await read_scaler(session, column) if known is None else known
        columns.append(
            LayoutColumn(
                obis=obis, class_id=column.class_id, attribute=column.attribute, scaler=scaler, unit=unit
            )
        )
    return tuple(columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamePlate:
    """What a meter's name plate tells: its model, and the year it was made in, None where it does not."""

    model: str
    year: int | None = None


async def read_model(session: MeterSession, *, meter: str) -> str:
    """Return the model of a meter from its name plate; one without a readable name plate is a model of its own."""
    return (await read_plate(session, meter=meter)).model


async def read_plate(session: MeterSession, *, meter: str) -> NamePlate:
    """Return what a meter's name plate tells; one without a readable name plate is a model of its own."""
    plan = is15959.PROFILES["nameplate"]
    own = NamePlate(model=f"{LONE_MODEL}{meter}")
    try:
        captured = await session.get_if_any(plan.captured)
        buffer = None if captured is None else await session.get_if_any(plan.buffer)
        if captured is None or buffer is None:
            return own
        columns = capture_objects(captured)
        rows = GetResult(data=buffer).value
    except (AccessRefused, DlmsError):
        return own
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], tuple):
        return own
    cells = {str(column.obis): cell for column, cell in zip(columns, rows[0], strict=False)}
    plate = {obis: _text(cell) for obis, cell in cells.items()}
    if FIRMWARE not in plate:
        return own
    year = cells.get(YEAR)
    return NamePlate(
        model=SEPARATOR.join(plate.get(obis, "?") for obis in (MAKER, TYPE, FIRMWARE))[:MODEL_LENGTH],
        year=year if isinstance(year, int) and not isinstance(year, bool) else None,
    )


async def read_layout(
    session: MeterSession, *, model: str, profiles: Sequence[str], quirk: Quirk = NO_QUIRK
) -> Layout:
    """
    Return the layout of the meter's model; a profile that it does not have is left without columns.

    :raises HeadEndError: if the meter does not tell.
    """
    period_s = await read_period(session, quirk)
    if not isinstance(period_s, int) or isinstance(period_s, bool):
        raise UnexpectedLayout(f"model {model} says that its block-load interval is {period_s!r}; {ADVICE}")
    found: dict[str, tuple[LayoutColumn, ...]] = {}
    for profile in profiles:
        found[profile] = await read_columns(session, profile, quirk=quirk)
    if not found.get(NEEDED_PROFILE):
        raise UnexpectedLayout(f"meters of model {model} have no block-load profile for us; {ADVICE}")
    for column in found[NEEDED_PROFILE]:
        if column.obis in NEEDED_SCALERS and column.unit == NO_UNIT:
            raise UnexpectedLayout(
                f"meters of model {model} tell no scaler of {column.obis}, and none is guessed; {ADVICE}"
            )
    return Layout(model=model, period_s=period_s, profiles=found, quirk=quirk, quirk_mark=quirk.mark)


async def read_period(session: MeterSession, quirk: Quirk) -> object:
    """Return the length of a block-load interval [s] by the quirk, else as the meter tells it."""
    known = quirk.of_profile(NEEDED_PROFILE).period_s
    if known is not None:
        return known
    data = await session.get_if_any(quirk.plan(NEEDED_PROFILE).period)
    return None if data is None else GetResult(data=data).value


async def _scaler_profile(session: MeterSession, plan: is15959.Profile) -> Mapping[str, tuple[int, int]]:
    if plan.scaler_captured is None or plan.scaler_buffer is None:
        return {}
    captured = await session.get_if_any(plan.scaler_captured)
    buffer = None if captured is None else await session.get_if_any(plan.scaler_buffer)
    if captured is None or buffer is None:
        return {}
    columns = [str(column.obis) for column in capture_objects(captured)]
    scalers = is15959.scalers(buffer)
    return dict(zip(columns, scalers, strict=False))


async def read_scaler(session: MeterSession, column: CaptureObject | Attribute) -> tuple[int, int]:
    """
    Return the power of ten and the DLMS unit that a register tells of itself; 0 and NO_UNIT if it does not.

    :raises AccessRefused: if the meter refuses for another reason than having no such thing.
    """
    attribute = Attribute(class_id=column.class_id, obis=column.obis, index=SCALER_ATTRIBUTE)
    data = await session.get_if_any(attribute)
    value = None if data is None else GetResult(data=data).value
    match value:
        case (int() as scaler, int() as unit):
            return scaler, unit
        case _:
            return 0, NO_UNIT


def _text(cell: object) -> str:
    if isinstance(cell, bytes):
        return cell.decode("ascii", errors="replace").strip()
    return str(cell).strip()
