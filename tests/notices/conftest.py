"""A registry with accounts of different languages, telephones and consents."""

import pytest
from tests.notices.kit import NOW

from bijlighar.notices.model import ConsentAction
from bijlighar.notices.operations import record_consent
from bijlighar.offices.model import Role
from bijlighar.offices.operations import add_person, import_offices
from bijlighar.registry.operations import import_registry
from bijlighar.storage.engine import Database

OFFICES = """code,name_en,name_hi,level,parent
WZ,Indore,इंदौर,company,
SNW,Sanwer,सांवेर,town_office,WZ
DPR,Depalpur,देपालपुर,town_office,WZ
"""
HEADER = (
    "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office,"
    "phone,language"
)


def registry_text(accounts: list[tuple[str, str, str, str]]) -> str:
    rows = [
        f"{number},{name},LV-1.2,urban,2000,UP-{number},M-{number},single-phase,,T-1,F-1,R,SNW,{phone},{language}"
        for number, name, phone, language in accounts
    ]
    return "\n".join([HEADER, *rows]) + "\n"


@pytest.fixture
def house(database: Database) -> Database:
    """Accounts: H (Hindi, consents), E (English, consents), S (no consent), P (no telephone)."""
    text = registry_text(
        [
            ("H", "आशा वर्मा", "9893000001", "hi"),
            ("E", "John Mathew", "+91 98930 00002", "en"),
            ("S", "सीता बाई", "9893000003", "hi"),
            ("P", "मोहन लाल", "", "hi"),
        ]
    )
    with database.write() as connection:
        import_offices(connection, text=OFFICES)
        for sign_in, office, role in (
            ("asha", "SNW", Role.CLERK),
            ("ravi", "DPR", Role.CLERK),
            ("om", "SNW", Role.FITTER),
        ):
            add_person(connection, sign_in=sign_in, name=sign_in, office=office, roles=[role], now=NOW)
        import_registry(connection, text=text, now=NOW)
        for phone in ("9893000001", "9893000002"):
            record_consent(
                connection, phone=phone, action=ConsentAction.OPT_IN, how="form", text="हाँ", now=NOW
            )
    return database
