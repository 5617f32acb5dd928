"""Documents of settings that the tests share."""

from bijlighar.headend.settings_document import SettingsDocument
from bijlighar.headend.settings_file import read_document

CALENDAR = """
[calendar]
name = "MPERC26"
activate = "now"
[calendar.days]
1 = { "00:00" = 1, "06:00" = 2, "09:00" = 3, "17:00" = 4, "22:00" = 1 }
2 = { "00:00" = 5 }
[calendar.weeks]
ALL = [1, 1, 1, 1, 1, 1, 2]
[calendar.seasons]
YEAR = { from = "04-01", week = "ALL" }
"""
WHOLE = (
    """
name = "ToD of April"
capture_minutes = 15
[billing]
day = 15
[push.alert]
destination = "127.0.0.1:4059"
objects = ["1 0.0.96.1.2.255 2", "8 0.0.1.0.0.255 2"]
windows = ["22:00-06:00"]
retries = 3
repeat_s = 60
[events]
codes = [201, 251, 301]
[mode]
metering = "net"
"""
    + CALENDAR
)
LIMIT = """
name = "Load limit"
[load_limit]
watts = 5000
over_s = 300
under_s = 600
"""


def a_document(text: str = WHOLE) -> SettingsDocument:
    return read_document(text)
