"""The columns of each profile of IS 15959, in the order in which our simulated meters capture them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from bijlighar.base.words import Words
from bijlighar.dlms.cosem import CaptureObject
from bijlighar.dlms.obis import Obis
from bijlighar.dlms.shape import Kind

DATA, REGISTER, EXTENDED_REGISTER, PROFILE_GENERIC = 1, 3, 4, 7
CLOCK_CLASS, ASSOCIATION_LN, DISCONNECT_CONTROL, LOAD_LIMITER_CLASS = 8, 15, 70, 71

#: Units of IEC 62056-6-2 that are used here.
UNITS: Mapping[int, str] = {
    6: "min",
    7: "s",
    27: "W",
    28: "VA",
    29: "var",
    30: "Wh",
    31: "VAh",
    32: "varh",
    33: "A",
    35: "V",
    44: "Hz",
    255: "",
}
MIN, W, VA, VAR, WH, VAH, VARH, AMPERE, VOLT, HZ, NO_UNIT = 6, 27, 28, 29, 30, 31, 32, 33, 35, 44, 255


#: Event families in the order of their profiles and of 0.0.96.11.x.
FAMILY_NAMES = ("voltage", "current", "power", "transaction", "other", "non-rollover", "control")

Phases = Literal[1, 3]
ZONES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """
    A column of a profile.

    kind -- the type to encode it with, None for text.
    scaler, unit -- as simulated meters have them (None: the object has none); a real meter tells its own.
    """

    capture: CaptureObject
    name: str
    words: Words
    kind: Kind | None
    scaler: int | None = None
    unit: int | None = None


def _column(  # noqa: PLR0913 - one column a line
    name: str,
    obis: str,
    hi: str,
    en: str,
    *,
    kind: Kind | None = Kind.DOUBLE_LONG_UNSIGNED,
    scaler: int | None = None,
    unit: int | None = None,
    class_id: int = REGISTER,
    attribute: int = 2,
) -> Column:
    return Column(
        capture=CaptureObject(class_id=class_id, obis=Obis.parse(f"{obis}.255"), attribute=attribute),
        name=name,
        words=Words(hi=hi, en=en),
        kind=kind,
        scaler=scaler,
        unit=unit,
    )


def _volt(name: str, obis: str, hi: str, en: str) -> Column:
    return _column(name, obis, hi, en, kind=Kind.LONG_UNSIGNED, scaler=-2, unit=VOLT)


def _amp(name: str, obis: str, hi: str, en: str) -> Column:
    return _column(name, obis, hi, en, kind=Kind.LONG_UNSIGNED, scaler=-2, unit=AMPERE)


def _power_factor(name: str, obis: str, hi: str, en: str) -> Column:
    return _column(name, obis, hi, en, kind=Kind.INTEGER, scaler=-2, unit=NO_UNIT)


def _text(name: str, obis: str, hi: str, en: str) -> Column:
    return _column(name, obis, hi, en, kind=None, class_id=DATA)


def _count(name: str, obis: str, hi: str, en: str) -> Column:
    return _column(name, obis, hi, en, kind=Kind.LONG_UNSIGNED, class_id=DATA)


RTC = _column("time", "0.0.1.0.0", "समय", "Time", kind=Kind.CLOCK, class_id=CLOCK_CLASS)

_PHASE_WORDS = (("r", "आर", "R"), ("y", "वाई", "Y"), ("b", "बी", "B"))


def _per_phase(quantity: str, first: int, group: int, *, average: bool = False) -> Iterable[Column]:
    """Yield the columns of three phases; `first` is C of phase R, D is `group`."""
    before_hi, before_en = ("औसत ", "average ") if average else ("", "")
    for index, (letter, hi, en) in enumerate(_PHASE_WORDS):
        obis = f"1.0.{first + 20 * index}.{group}.0"
        if quantity == "volt":
            yield _volt(
                f"volt_{letter}", obis, f"{before_hi}वोल्टेज, {hi} फेज", f"{before_en}voltage, phase {en}"
            )
        elif quantity == "amp":
            yield _amp(f"amp_{letter}", obis, f"{before_hi}करंट, {hi} फेज", f"{before_en}current, phase {en}")
        else:
            yield _power_factor(
                f"power_factor_{letter}", obis, f"पावर फैक्टर, {hi} फेज", f"power factor, phase {en}"
            )


_WH_IMPORT = _column("wh_import", "1.0.1.8.0", "कुल खपत (आयात)", "Energy imported", scaler=1, unit=WH)
_VAH_IMPORT = _column(
    "vah_import", "1.0.9.8.0", "कुल आभासी ऊर्जा (आयात)", "Apparent energy imported", scaler=1, unit=VAH
)
_WH_EXPORT = _column("wh_export", "1.0.2.8.0", "कुल निर्यात", "Energy exported", scaler=1, unit=WH)
_VAH_EXPORT = _column(
    "vah_export", "1.0.10.8.0", "कुल आभासी ऊर्जा (निर्यात)", "Apparent energy exported", scaler=1, unit=VAH
)


def _maximum_demand(name: str, obis: str, hi: str, en: str, unit: int) -> tuple[Column, Column]:
    return (
        _column(name, obis, hi, en, scaler=0, unit=unit, class_id=EXTENDED_REGISTER),
        _column(
            f"{name}_time",
            obis,
            f"{hi}: समय",
            f"{en}: time",
            kind=Kind.CLOCK,
            class_id=EXTENDED_REGISTER,
            attribute=5,
        ),
    )


_MD_W = _maximum_demand("md_w", "1.0.1.6.0", "अधिकतम मांग (W)", "Maximum demand (W)", W)
_MD_VA = _maximum_demand("md_va", "1.0.9.6.0", "अधिकतम मांग (VA)", "Maximum demand (VA)", VA)
_COUNTS = (
    _column("power_on_min", "0.0.94.91.14", "कुल चालू अवधि", "Power-on duration", scaler=0, unit=MIN),
    _count("tamper_count", "0.0.94.91.0", "छेड़छाड़ की कुल संख्या", "Tamper count"),
    _count("billing_count", "0.0.0.1.0", "बिलिंग की कुल संख्या", "Billing count"),
    _count("programming_count", "0.0.96.2.0", "प्रोग्रामिंग की कुल संख्या", "Programming count"),
)
_RELAY = (
    _column(
        "relay_connected",
        "0.0.96.3.10",
        "रिले चालू",
        "Relay connected",
        kind=Kind.BOOLEAN,
        class_id=DISCONNECT_CONTROL,
    ),
    _column(
        "load_limit_w",
        "0.0.17.0.0",
        "लोड सीमा (W)",
        "Load limit (W)",
        kind=Kind.DOUBLE_LONG_UNSIGNED,
        class_id=LOAD_LIMITER_CLASS,
        attribute=3,
    ),
)

_FREQUENCY = _column(
    "frequency", "1.0.14.7.0", "आवृत्ति", "Frequency", kind=Kind.LONG_UNSIGNED, scaler=-1, unit=HZ
)
_POWER_FACTOR = _power_factor("power_factor", "1.0.13.7.0", "पावर फैक्टर", "Power factor")
_POWER_VA = _column("va", "1.0.9.7.0", "आभासी शक्ति", "Apparent power", scaler=0, unit=VA)
_POWER_W = _column("w", "1.0.1.7.0", "सक्रिय शक्ति", "Active power", scaler=0, unit=W)
_VOLT = _volt("volt", "1.0.12.7.0", "वोल्टेज", "Voltage")
_AMP = _amp("amp", "1.0.11.7.0", "फेज करंट", "Phase current")

_INSTANTANEOUS_1 = (
    RTC,
    _VOLT,
    _AMP,
    _amp("amp_neutral", "1.0.91.7.0", "न्यूट्रल करंट", "Neutral current"),
    _POWER_FACTOR,
    _FREQUENCY,
    _POWER_VA,
    _POWER_W,
    _WH_IMPORT,
    _VAH_IMPORT,
    *_MD_W,
    *_MD_VA,
    *_COUNTS,
    _WH_EXPORT,
    _VAH_EXPORT,
    *_RELAY,
)
_INSTANTANEOUS_3 = (
    RTC,
    *_per_phase("amp", 31, 7),
    *_per_phase("volt", 32, 7),
    *_per_phase("power_factor", 33, 7),
    _POWER_FACTOR,
    _FREQUENCY,
    _POWER_VA,
    _POWER_W,
    _column("var", "1.0.3.7.0", "प्रतिघाती शक्ति", "Reactive power", kind=Kind.DOUBLE_LONG, scaler=0, unit=VAR),
    _WH_IMPORT,
    _column("varh_lag", "1.0.5.8.0", "प्रतिघाती ऊर्जा (लैग)", "Reactive energy (lag)", scaler=1, unit=VARH),
    _column("varh_lead", "1.0.8.8.0", "प्रतिघाती ऊर्जा (लीड)", "Reactive energy (lead)", scaler=1, unit=VARH),
    _VAH_IMPORT,
    *_MD_W,
    *_MD_VA,
    _count("power_fail_count", "0.0.96.7.0", "बिजली गुल की संख्या", "Power failure count"),
    _column(
        "power_fail_min", "0.0.94.91.8", "बिजली गुल की अवधि", "Power failure duration", scaler=0, unit=MIN
    ),
    *_COUNTS,
    _WH_EXPORT,
    _VAH_EXPORT,
    *_RELAY,
)
_BLOCK_ENERGY = (
    _column("wh_import", "1.0.1.29.0", "ब्लॉक खपत (आयात)", "Block energy imported", scaler=0, unit=WH),
    _column(
        "vah_import",
        "1.0.9.29.0",
        "ब्लॉक आभासी ऊर्जा (आयात)",
        "Block apparent energy imported",
        scaler=0,
        unit=VAH,
    ),
    _column("wh_export", "1.0.2.29.0", "ब्लॉक निर्यात", "Block energy exported", scaler=0, unit=WH),
    _column(
        "vah_export",
        "1.0.10.29.0",
        "ब्लॉक आभासी ऊर्जा (निर्यात)",
        "Block apparent energy exported",
        scaler=0,
        unit=VAH,
    ),
)
_BLOCK_1 = (
    RTC,
    _volt("volt", "1.0.12.27.0", "औसत वोल्टेज", "Average voltage"),
    *_BLOCK_ENERGY,
    _amp("amp", "1.0.11.27.0", "औसत करंट", "Average current"),
)
_BLOCK_3 = (
    RTC,
    *_per_phase("amp", 31, 27, average=True),
    *_per_phase("volt", 32, 27, average=True),
    *_BLOCK_ENERGY,
)
_DAILY = (RTC, _WH_IMPORT, _VAH_IMPORT, _WH_EXPORT, _VAH_EXPORT)
_BILLING = (
    _column("time", "0.0.0.1.2", "बिलिंग दिनांक", "Billing date", kind=Kind.CLOCK),
    _power_factor("power_factor", "1.0.13.0.0", "औसत पावर फैक्टर", "Average power factor"),
    _WH_IMPORT,
    *(
        _column(
            f"wh_import_tz{zone}",
            f"1.0.1.8.{zone}",
            f"खपत, टीओडी {zone}",
            f"Energy imported, ToD {zone}",
            scaler=1,
            unit=WH,
        )
        for zone in range(1, ZONES + 1)
    ),
    _VAH_IMPORT,
    *(
        _column(
            f"vah_import_tz{zone}",
            f"1.0.9.8.{zone}",
            f"आभासी ऊर्जा, टीओडी {zone}",
            f"Apparent energy imported, ToD {zone}",
            scaler=1,
            unit=VAH,
        )
        for zone in range(1, ZONES + 1)
    ),
    *_MD_W,
    *_MD_VA,
    _column(
        "power_on_min",
        "0.0.94.91.13",
        "बिलिंग अवधि में चालू समय",
        "Power-on duration of the period",
        scaler=0,
        unit=MIN,
    ),
    _WH_EXPORT,
    _VAH_EXPORT,
)
_NAMEPLATE = (
    _text("serial", "0.0.96.1.0", "मीटर क्रमांक", "Serial number"),
    _text("device_id", "0.0.96.1.2", "उपकरण पहचान", "Device id"),
    _text("maker", "0.0.96.1.1", "निर्माता", "Maker"),
    _text("firmware", "1.0.0.2.0", "फ़र्मवेयर", "Firmware"),
    _column("meter_type", "0.0.94.91.9", "मीटर प्रकार", "Meter type", kind=Kind.UNSIGNED, class_id=DATA),
    _text("category", "0.0.94.91.11", "श्रेणी", "Category"),
    _text("current_rating", "0.0.94.91.12", "करंट रेटिंग", "Current rating"),
    _column("year", "0.0.96.1.4", "निर्माण वर्ष", "Year of making", kind=Kind.LONG_UNSIGNED, class_id=DATA),
)


def _event_code(family: int) -> Column:
    return _column(
        "event_code", f"0.0.96.11.{family}", "घटना कोड", "Event code", kind=Kind.LONG_UNSIGNED, class_id=DATA
    )


#: Families whose rows carry what was measured at the event; the others carry time and code only.
MEASURED_FAMILIES = (0, 1, 4)
_TAMPER_COUNT = _COUNTS[1]
_AT_EVENT_1 = (_AMP, _VOLT, _POWER_FACTOR, _WH_IMPORT, _TAMPER_COUNT)
_AT_EVENT_3 = (
    *_per_phase("amp", 31, 7),
    *_per_phase("volt", 32, 7),
    *_per_phase("power_factor", 33, 7),
    _WH_IMPORT,
    _TAMPER_COUNT,
)


def _event_columns(family: int, measured: tuple[Column, ...]) -> tuple[Column, ...]:
    return (RTC, _event_code(family), *(measured if family in MEASURED_FAMILIES else ()))


_COLUMNS: Mapping[tuple[str, int], tuple[Column, ...]] = {
    ("instantaneous", 1): _INSTANTANEOUS_1,
    ("instantaneous", 3): _INSTANTANEOUS_3,
    ("block-load", 1): _BLOCK_1,
    ("block-load", 3): _BLOCK_3,
    **{("daily", phases): _DAILY for phases in (1, 3)},
    **{("billing", phases): _BILLING for phases in (1, 3)},
    **{("nameplate", phases): _NAMEPLATE for phases in (1, 3)},
    **{
        (f"events-{name}", phases): _event_columns(family, measured)
        for phases, measured in ((1, _AT_EVENT_1), (3, _AT_EVENT_3))
        for family, name in enumerate(FAMILY_NAMES)
    },
}

#: What transformer-operated (D3, D4) and newer meters capture beside these, and no simulated meter does: names only.
_OF_OTHERS: tuple[Column, ...] = (
    *(
        _column(
            f"varh_q{quadrant}",
            f"1.0.{4 + quadrant}.29.0",
            f"ब्लॉक प्रतिघाती ऊर्जा, चतुर्थांश {quadrant}",
            f"Block reactive energy, quadrant {quadrant}",
        )
        for quadrant in range(1, 5)
    ),
    _column("ct_ratio", "1.0.0.4.2", "सीटी अनुपात", "CT ratio", class_id=DATA),
    _column("pt_ratio", "1.0.0.4.3", "पीटी अनुपात", "PT ratio", class_id=DATA),
    _column("meter_health", "0.0.96.10.1", "मीटर की स्थिति", "Meter health", class_id=DATA),
    _column("signal_strength", "0.1.96.12.5", "सिग्नल की ताकत", "Signal strength", class_id=DATA),
)

#: Every column known, by (OBIS, attribute): the name and words of what a foreign meter captures.
KNOWN: Mapping[tuple[Obis, int], Column] = {
    (column.capture.obis, column.capture.attribute): column
    for found in (*_COLUMNS.values(), _OF_OTHERS)
    for column in found
}


def columns(name: str, *, phases: Phases) -> tuple[Column, ...]:
    """
    Return the columns of a profile of a meter with one or three phases.

    >>> [column.name for column in columns("block-load", phases=1)]
    ['time', 'volt', 'wh_import', 'vah_import', 'wh_export', 'vah_export', 'amp']
    """
    return _COLUMNS[name, phases]


def column_of(capture: CaptureObject) -> Column | None:
    """Return the column known for a capture object, None for one of the maker's own."""
    return KNOWN.get((capture.obis, capture.attribute))
