"""What the list of modems and of refused senders is called by those who read it."""

from collections.abc import Mapping
from types import MappingProxyType

from bijlighar.base.words import Words

_WORDS: Mapping[str, Words] = MappingProxyType(
    {
        "title": Words(hi="कॉल करने वाले मॉडम", en="Modems that called in or registered"),
        "modem": Words(hi="मॉडम", en="modem"),
        "state": Words(hi="स्थिति", en="state"),
        "there": Words(hi="जुड़ा है", en="there"),
        "gone": Words(hi="अब नहीं", en="gone"),
        "pushes_only": Words(hi="केवल सूचना भेजता है", en="pushes only"),
        "since": Words(hi="कब से", en="since"),
        "calls": Words(hi="कॉल", en="calls"),
        "proven": Words(hi="प्रमाणित: मीटर, समय", en="proven by, at"),
        "fact": Words(hi="तथ्य", en="fact"),
        "value": Words(hi="मान", en="value"),
        "trusted": Words(hi="विश्वसनीय, कब से", en="trusted since"),
        "claim": Words(hi="केवल दावा", en="a claim"),
        "address": Words(hi="पता", en="address"),
        "imei": Words(hi="IMEI", en="IMEI"),
        "sim": Words(hi="सिम (ICCID)", en="SIM (ICCID)"),
        "signal": Words(hi="सिग्नल [dBm]", en="signal [dBm]"),
        "meters": Words(hi="पीछे के मीटर", en="meters behind it"),
        "facts": Words(hi="मॉडमों के बारे में", en="What is known of them"),
        "quarantine": Words(hi="जो नहीं माना गया", en="Quarantine: what was not taken"),
        "sender": Words(hi="भेजने वाला", en="sender"),
        "code": Words(hi="कारण", en="reason"),
        "count": Words(hi="गिनती", en="count"),
        "last": Words(hi="पिछली बार", en="last at"),
        "note": Words(hi="टिप्पणी", en="note"),
        "pushes": Words(hi="मीटरों की भेजी सूचनाएँ", en="Pushes that are no alerts"),
        "kind": Words(hi="प्रकार", en="kind"),
        "placed": Words(hi="रखी गईं", en="placed"),
        "unplaced": Words(hi="जगह नहीं", en="without a place"),
    }
)


def modem_words(name: str) -> Words:
    """
    Return what something of the list of modems is called.

    >>> modem_words("there").en
    'there'
    """
    return _WORDS[name]
