"""Names for a town in Malwa, in the script of the account's language."""

import numpy as np

from bijlighar.base.words import Language

_FIRST = (
    ("रमेश", "Ramesh"), ("सुनीता", "Sunita"), ("अनिल", "Anil"), ("कविता", "Kavita"), ("महेश", "Mahesh"),
    ("पूजा", "Pooja"), ("राजेन्द्र", "Rajendra"), ("अनीता", "Anita"), ("दिनेश", "Dinesh"), ("संगीता", "Sangeeta"),
    ("मोहम्मद आरिफ़", "Mohammad Arif"), ("शबाना", "Shabana"), ("विजय", "Vijay"), ("ममता", "Mamta"),
    ("ओमप्रकाश", "Omprakash"), ("रेखा", "Rekha"), ("कैलाश", "Kailash"), ("गीता", "Geeta"), ("नरेन्द्र", "Narendra"),
    ("सरिता", "Sarita"), ("जगदीश", "Jagdish"), ("माया", "Maya"), ("मुकेश", "Mukesh"), ("लक्ष्मी", "Lakshmi"),
    ("सुरेश", "Suresh"), ("ज्योति", "Jyoti"), ("बलराम", "Balram"), ("शांति", "Shanti"), ("हरीश", "Harish"),
    ("मीना", "Meena"),
)  # fmt: skip
_FAMILY = (
    ("वर्मा", "Verma"), ("पटेल", "Patel"), ("चौहान", "Chouhan"), ("शर्मा", "Sharma"), ("यादव", "Yadav"),
    ("मालवीय", "Malviya"), ("जोशी", "Joshi"), ("ख़ान", "Khan"), ("सोलंकी", "Solanki"), ("राठौर", "Rathore"),
    ("परमार", "Parmar"), ("जैन", "Jain"), ("कुशवाह", "Kushwah"), ("डोडिया", "Dodiya"), ("तिवारी", "Tiwari"),
    ("मंडलोई", "Mandloi"), ("गुप्ता", "Gupta"), ("पाटीदार", "Patidar"), ("बैरागी", "Bairagi"), ("सिसोदिया", "Sisodiya"),
)  # fmt: skip
_SHOPS = (
    ("किराना स्टोर", "Kirana Store"), ("मेडिकल स्टोर", "Medical Store"), ("वस्त्र भंडार", "Vastra Bhandar"),
    ("मिष्ठान भंडार", "Mishthan Bhandar"), ("मोबाइल शॉप", "Mobile Shop"), ("जनरल स्टोर", "General Store"),
)  # fmt: skip
_WORKSHOPS = (
    ("इंजीनियरिंग वर्क्स", "Engineering Works"), ("आटा चक्की", "Flour Mill"), ("वेल्डिंग वर्कशॉप", "Welding Workshop"),
    ("फ़र्नीचर उद्योग", "Furniture Udyog"), ("दाल मिल", "Dal Mill"),
)  # fmt: skip
_HOUSES = (
    ("श्री बालाजी", "Shri Balaji"), ("महाकाल", "Mahakal"), ("नर्मदा", "Narmada"), ("मालवा", "Malwa"),
    ("श्री गणेश", "Shri Ganesh"), ("अहिल्या", "Ahilya"), ("न्यू इंडिया", "New India"), ("पाटीदार", "Patidar"),
)  # fmt: skip
HOSPITAL: dict[Language, str] = {"hi": "सिविल अस्पताल, देपालपुर", "en": "Civil Hospital, Depalpur"}
WATERWORKS: dict[Language, str] = {
    "hi": "नगर परिषद जल प्रदाय, देपालपुर",
    "en": "Town Council Water Works, Depalpur",
}


def person_name(generator: np.random.Generator, *, language: Language) -> str:
    """Return a person's name in the script of `language`."""
    first = _FIRST[int(generator.integers(len(_FIRST)))]
    family = _FAMILY[int(generator.integers(len(_FAMILY)))]
    script = _script(language)
    return f"{first[script]} {family[script]}"


def shop_name(generator: np.random.Generator, *, language: Language) -> str:
    """Return a shop's name in the script of `language`."""
    return _firm(generator, _SHOPS, language)


def workshop_name(generator: np.random.Generator, *, language: Language) -> str:
    """Return a workshop's name in the script of `language`."""
    return _firm(generator, _WORKSHOPS, language)


def _firm(generator: np.random.Generator, trades: tuple[tuple[str, str], ...], language: Language) -> str:
    house = _HOUSES[int(generator.integers(len(_HOUSES)))]
    trade = trades[int(generator.integers(len(trades)))]
    script = _script(language)
    return f"{house[script]} {trade[script]}"


def _script(language: Language) -> int:
    return 0 if language == "hi" else 1
