"""The files from which the tests build a home: a small town office with a month or two of readings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from bijlighar.base.period import local_midnight

FIRST, PAST = date(2025, 4, 1), date(2025, 6, 1)
#: Of meter M2 these half-hours are missing: 11 April, 10:00 to 12:00.
GAP = range(500, 504)
OFFICES = """code,name_en,name_hi,level,parent
WEST,West Discom,पश्चिम डिस्कॉम,company,
INDORE,Indore,इंदौर,region,WEST
MHOW,Mhow,महू,town-office,INDORE
DEWAS,Dewas,देवास,town-office,INDORE
"""
NETWORK = "transformer,feeder,kva,no_load_loss_w,load_loss_w,side\nT1,F1,100,180,1500,lv\n"
STOCK = (
    "serial,meter_type,store,box,url\nNEW1,single-phase,S1,B1,tcp://127.0.0.1:9\nNEW2,single-phase,S1,B1,\n"
)
PEOPLE = {
    "asha": ("MHOW", "clerk"),
    "bala": ("INDORE", "approver"),
    "op": ("INDORE", "operator"),
    "eng": ("WEST", "engineer"),
    "keeper": ("MHOW", "store_keeper"),
    "fitter": ("MHOW", "fitter"),
    "both": ("INDORE", "clerk,approver"),
}
_REGISTRY_HEAD = (
    "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office,"
    "phone,language,minutes,protected"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Smart:
    """A smart meter of the papers."""

    serial: str
    url: str


#: Meters that answer nowhere.
NOBODY = (
    Smart(serial="BJ900001", url="tcp://127.0.0.1:9"),
    Smart(serial="BJ900002", url="tcp://127.0.0.1:9?server=2"),
)


def registry(smart: Sequence[Smart] = NOBODY) -> str:
    """Return the registry: two smart homes, a shop on an old meter, a protected home, a transformer's meter."""
    one, two = smart
    return "\n".join(
        [
            _REGISTRY_HEAD,
            f"A1,Asha Patel,LV-1.2,urban,1000,U1,{one.serial},single-phase,{one.url},T1,F1,A,MHOW,"
            "+919826000001,hi,30,",
            f"A2,Ravi Verma,LV-1.2,urban,2000,U2,{two.serial},single-phase,{two.url},T1,F1,B,MHOW,,en,30,",
            "A3,Old Shop,LV-2.2,urban,1000,U3,OLD3,single-phase,,T1,F1,C,MHOW,,hi,,",
            "A4,Patient,LV-1.2,urban,1000,U4,BJ900004,single-phase,tcp://127.0.0.1:9?server=4,T1,F1,A,MHOW,,hi,30,"
            "life_support:CERT-1",
            ",,,,,,BJTX0001,transformer,tcp://127.0.0.1:9?server=5,T1,F1,,MHOW,,,30,",
            "",
        ]
    )


def intervals(smart: Sequence[Smart] = NOBODY) -> str:
    """Return two months of half-hours: 100, 200 and 50 Wh for the homes, 460 Wh into the transformer."""
    one, two = smart
    lines = ["meter,start,minutes,wh_import"]
    for serial, energy_wh in ((one.serial, 100), (two.serial, 200), ("BJ900004", 50), ("BJTX0001", 460)):
        moment, number = local_midnight(FIRST), 0
        while moment < local_midnight(PAST):
            if serial != two.serial or number not in GAP:
                lines.append(f"{serial},{moment.isoformat()},30,{energy_wh}")
            moment, number = moment + timedelta(minutes=30), number + 1
    return "\n".join(lines) + "\n"


def registers(smart: Sequence[Smart] = NOBODY) -> str:
    """Return the registers at the months' ends: of the shop 100 Wh in each half-hour, of the first home too."""
    first, second, third = (date(2025, month, 1) for month in (4, 5, 6))
    lines = ["meter,time,wh_import_register,wh_export_register"]
    for serial, start_wh in (("OLD3", 1_000_000), (smart[0].serial, 5_000)):
        for day in (first, second, third):
            read_wh = start_wh + (day - first).days * 4_800
            lines.append(f"{serial},{_text(local_midnight(day))},{read_wh},0")
    return "\n".join(lines) + "\n"


def _text(moment: datetime) -> str:
    return moment.isoformat()


def write(folder: Path, **texts: str) -> dict[str, Path]:
    """Write each text to a file named by its word and return the files."""
    files = {}
    for word, text in texts.items():
        files[word] = folder / f"{word}.csv"
        files[word].write_text(text, encoding="utf-8")
    return files
