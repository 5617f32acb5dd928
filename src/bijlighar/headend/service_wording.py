"""What the figures of service levels are called by those who read them."""

from collections.abc import Mapping
from types import MappingProxyType

from bijlighar.base.words import Words

_WORDS: Mapping[str, Words] = MappingProxyType(
    {
        "title": Words(hi="मीटर रीडिंग की सेवा का स्तर", en="Service levels of meter reading"),
        "not_final": Words(hi="इस दिन का समय अभी बाकी है", en="the time of this day is not over yet"),
        "meters": Words(hi="लगे हुए मीटर", en="meters hanging"),
        "excluded": Words(hi="अनुबंध के अनुसार गिनती से बाहर", en="excluded by the contract"),
        "morning": Words(hi="सुबह तक पढ़े गए", en="read by the morning"),
        "late": Words(hi="समय सीमा में पढ़े गए", en="read within the hours of the contract"),
        "retries": Words(hi="दोबारा किए गए प्रयास", en="retries"),
        "failed": Words(hi="असफल सत्र", en="sessions that failed"),
        "silent": Words(hi="मौन मीटर", en="silent meters"),
        "gateway": Words(hi="गेटवे", en="gateway"),
        "model": Words(hi="मॉडल", en="model"),
        "firmware": Words(hi="फ़र्मवेयर", en="firmware"),
        "age": Words(hi="लगे हुए दिन", en="age"),
        "figure": Words(hi="आँकड़ा", en="figure"),
        "value": Words(hi="मान", en="value"),
        "target": Words(hi="लक्ष्य", en="target"),
        "met": Words(hi="पूरा हुआ", en="met"),
        "missed": Words(hi="चूका", en="missed"),
        "month": Words(hi="महीने का देय", en="What the month is worth"),
        "judged_to": Words(hi="इस दिन तक आँका गया", en="judged up to"),
        "working": Words(hi="काम करते मीटर", en="working meters"),
        "not_working": Words(hi="काम न करते मीटर", en="meters that did not work"),
        "gross": Words(hi="कुल शुल्क", en="charge"),
        "deduction_morning": Words(hi="कटौती: सुबह का लक्ष्य", en="deducted: morning target"),
        "deduction_late": Words(hi="कटौती: समय सीमा का लक्ष्य", en="deducted: target of the hours"),
        "deducted": Words(hi="कुल कटौती", en="deducted together"),
        "cap": Words(hi="(सीमा तक घटाई गई)", en="(held at the cap)"),
        "payable": Words(hi="देय राशि", en="payable"),
        "queries": Words(hi="हर आँकड़े की क्वेरी", en="the query behind each figure"),
    }
)


def service_words(name: str) -> Words:
    """
    Return what a figure of the service levels is called.

    >>> service_words("payable").hi
    'देय राशि'
    """
    return _WORDS[name]
