"""What the head-end's codes mean in the words of those who read them."""

from collections.abc import Mapping
from types import MappingProxyType

from bijlighar.base.words import Words
from bijlighar.headend.model import CommandState, ControlReason, RelayReading, RelayState

_WORDS: Mapping[str, Words] = MappingProxyType(
    {
        "headend.ok": Words(hi="सत्र ठीक रहा", en="the session went well"),
        "headend.unreachable": Words(
            hi="मीटर से संपर्क नहीं हो सका", en="no connection to the meter could be made"
        ),
        "headend.not-called-in": Words(
            hi="मीटर के मॉडम ने अभी कॉल नहीं किया है", en="the modem before the meter has not called in"
        ),
        "headend.modem-busy": Words(
            hi="मीटर का मॉडम दूसरी बातचीत में व्यस्त रहा", en="the modem before the meter was busy with others"
        ),
        "headend.call-in-away": Words(
            hi="कॉल करने वाले मॉडमों का एक्सचेंज नहीं चल रहा", en="the exchange of modems that call in does not run"
        ),
        "headend.no-answer": Words(hi="मीटर ने समय पर उत्तर नहीं दिया", en="the meter did not answer in time"),
        "headend.connection-lost": Words(
            hi="बातचीत के बीच में मीटर का संपर्क टूट गया", en="the connection to the meter broke off"
        ),
        "headend.garbled": Words(hi="मीटर का उत्तर समझ में नहीं आया", en="the meter's answer makes no sense"),
        "headend.refused": Words(
            hi="मीटर ने पासवर्ड या कुंजी नहीं मानी", en="the meter refused the password or key"
        ),
        "headend.access-refused": Words(
            hi="मीटर ने माँगा गया काम करने से मना किया", en="the meter refused what was asked"
        ),
        "headend.counter": Words(
            hi="मीटर का संदेश-गणक विश्वास योग्य नहीं है", en="the meter's message counter cannot be believed"
        ),
        "headend.layout": Words(
            hi="मीटर की प्रोफ़ाइल में ज़रूरी कॉलम नहीं हैं", en="a profile of the meter lacks needed columns"
        ),
        "headend.no-keys": Words(hi="मीटर की कुंजियाँ दर्ज नहीं हैं", en="no keys are stored for the meter"),
        "headend.sealed-keys": Words(hi="मीटर की कुंजियाँ खुल नहीं रहीं", en="the meter's stored keys do not open"),
        "headend.broken-url": Words(hi="मीटर का पता गलत लिखा है", en="the meter's URL is wrong"),
        "headend.unsupported-transport": Words(
            hi="मीटर तक पहुँचने का यह रास्ता उपलब्ध नहीं है", en="this way to the meter is not available"
        ),
        "headend.no-relay": Words(
            hi="मीटर में दूर से चलने वाला रिले नहीं है; लाइनमैन को भेजें",
            en="the meter has no relay that can be reached; send a fitter",
        ),
        "headend.control-mode": Words(
            hi="मीटर का रिले दूर से चलाने के लिए बंद रखा गया है; लाइनमैन को भेजें",
            en="the relay's control mode lets nobody operate it from afar; send a fitter",
        ),
        "headend.relay-not-moved": Words(
            hi="मीटर ने आदेश माना पर रिले नहीं चला; लाइनमैन जाँच करे",
            en="the meter accepted the order but its relay has not moved; a fitter must look at it",
        ),
        "headend.ready-for-reconnection": Words(
            hi="आपूर्ति के लिए मीटर का बटन दबाना बाकी है",
            en="the relay waits for the button at the meter to be pressed",
        ),
        "headend.not-disconnected": Words(
            hi="उत्तर खो गया था; रिले पढ़ने पर आपूर्ति चालू मिली",
            en="the answer was lost, and the relay was found not opened",
        ),
        "headend.process-died": Words(
            hi="मीटर के उत्तर से पहले प्रोग्राम बंद हो गया",
            en="the process died before the meter's answer was known",
        ),
        "headend.clock-right": Words(hi="मीटर की घड़ी ठीक है", en="the meter's clock is right"),
        "headend.clock-set": Words(hi="मीटर की घड़ी मिलाई गई", en="the meter's clock was set"),
        "headend.clock-waits": Words(
            hi="घड़ी मिलाने के लिए अंतराल के बीच की प्रतीक्षा",
            en="the clock waits for a moment away from an interval's edge",
        ),
        "headend.clock-set-across": Words(
            hi="घड़ी अंतराल की सीमा के पार मिलाई गई",
            en="the clock was set across an interval's edge, which is marked",
        ),
        "headend.clock-too-far": Words(
            hi="घड़ी बहुत ग़लत है, किसी व्यक्ति को तय करना है", en="the clock is off by more than is set unasked"
        ),
        "headend.clock-not-set": Words(
            hi="घड़ी मिलाने पर भी ग़लत रही", en="the clock was set and is wrong all the same"
        ),
        "headend.too-late": Words(
            hi="समय रहते बारी नहीं आई, कुछ नहीं भेजा गया", en="its turn did not come in time, nothing was sent"
        ),
        "headend.cancelled": Words(hi="भेजे जाने से पहले आदेश रद्द हुआ", en="cancelled before it was sent"),
        "headend.expired": Words(
            hi="आदेश समय रहते मीटर तक नहीं पहुँचा", en="the order did not reach the meter in time"
        ),
        "headend.gate-admitted": Words(hi="आदेश मान्य है", en="the order was admitted"),
        "headend.gate-no-verify-key": Words(
            hi="आदेश जाँचने की कुंजी नहीं है, इसलिए कुछ नहीं भेजा गया",
            en="there is no key to check orders with, so nothing passes",
        ),
        "headend.gate-unsigned": Words(hi="आदेश पर हस्ताक्षर नहीं है", en="the order is not signed"),
        "headend.gate-altered": Words(
            hi="आदेश बदला गया है या हस्ताक्षर किसी और का है",
            en="the order was altered or signed by somebody else",
        ),
        "headend.gate-wrong-order": Words(
            hi="आदेश क्रमांक मेल नहीं खाता", en="the signed order has another number"
        ),
        "headend.gate-wrong-serial": Words(hi="आदेश किसी दूसरे मीटर का है", en="the order is for another meter"),
        "headend.gate-wrong-action": Words(hi="आदेश किसी दूसरे काम का है", en="the order is for another action"),
        "headend.gate-not-yet": Words(hi="आदेश की तारीख आगे की है", en="the order is dated in the future"),
        "headend.gate-expired": Words(hi="आदेश की अवधि समाप्त हो गई है", en="the order has expired"),
        "headend.gate-not-approved": Words(
            hi="आदेश किसी दूसरे व्यक्ति द्वारा स्वीकृत नहीं है",
            en="the order was not approved by another person",
        ),
        "headend.gate-used": Words(hi="आदेश पहले ही काम में लिया जा चुका है", en="the order was used before"),
        "headend.gate-superseded": Words(
            hi="बाद में आपूर्ति जोड़ने का आदेश आ चुका है", en="a later order to reconnect stands against it"
        ),
        "headend.gate-broken-ceilings": Words(
            hi="विच्छेदन की सीमाएँ ठीक से तय नहीं हैं, इसलिए कुछ नहीं भेजा गया",
            en="the ceilings of disconnections are not set rightly, so nothing passes",
        ),
        "headend.gate-ceiling-hour": Words(
            hi="एक घंटे में विच्छेदन की सीमा पूरी हो गई है",
            en="the ceiling of disconnections in one hour is reached",
        ),
        "headend.gate-ceiling-feeder": Words(
            hi="इस फीडर पर एक घंटे में विच्छेदन की सीमा पूरी हो गई है",
            en="the ceiling of disconnections on this feeder in one hour is reached",
        ),
        "headend.gate-ceiling-day": Words(
            hi="एक दिन में विच्छेदन की सीमा पूरी हो गई है",
            en="the ceiling of disconnections in one day is reached",
        ),
        "headend.gate-broken": Words(hi="दर्ज आदेश पढ़ा नहीं जा सका", en="the stored order cannot be read"),
        "headend.gate-not-granted": Words(
            hi="गेट ने इस मीटर के लिए ऐसा कोई आदेश नहीं माना",
            en="the gate has admitted no such order for this meter",
        ),
        "headend.gate-factory-keys": Words(
            hi="मीटर में अब भी कारख़ाने की कुंजियाँ हैं; पहले कुंजियाँ बदलें",
            en="the meter is still on factory keys; change its keys first",
        ),
        "headend.gate-wrong-image": Words(
            hi="आदेश किसी दूसरे फ़र्मवेयर का है", en="the order is for another image of firmware"
        ),
        "headend.gate-step": Words(
            hi="पिछले चरण के मीटर अभी इस फ़र्मवेयर, सेटिंग या नई कुंजियों के साथ पढ़कर जाँचे नहीं गए",
            en="the meters of the step before have not been read back with this firmware, these settings or new keys",
        ),
        "headend.gate-broken-document": Words(
            hi="सेटिंग का दस्तावेज़ समझ में नहीं आता", en="the document of settings cannot be understood"
        ),
        "headend.gate-wrong-document": Words(
            hi="आदेश किसी दूसरे सेटिंग दस्तावेज़ का है", en="the order is for another document of settings"
        ),
        "headend.gate-wrong-keys": Words(
            hi="आदेश किन्हीं दूसरी पढ़ने की कुंजियों का है", en="the order is for other reading keys"
        ),
        "headend.gate-later-keys": Words(
            hi="इस मीटर की पढ़ने की कुंजियों का इससे बाद का आदेश माना जा चुका है",
            en="a later order for the reading keys of this meter was admitted",
        ),
        "headend.gate-may-interrupt": Words(
            hi="सेटिंग आपूर्ति काट सकती है या नहीं, इसमें आदेश और दस्तावेज़ अलग हैं",
            en="order and document disagree whether the settings can cut supply",
        ),
        "headend.gate-load-limit": Words(
            hi="लोड सीमा स्वीकृत भार से कम है, या स्वीकृत भार ज्ञात नहीं है",
            en="the load limit is below the sanctioned load, or that is not known",
        ),
        "headend.gate-ceiling-settings": Words(
            hi="एक घंटे में सेटिंग और पढ़ने की कुंजियाँ बदलने की सीमा पूरी हो गई है",
            en="the ceiling of settings and reading keys in one hour is reached",
        ),
        "headend.gate-away": Words(
            hi="गेट चालू नहीं है, इसलिए कुछ नहीं भेजा गया", en="the gate does not run, so nothing passes"
        ),
        "headend.gate-no-store": Words(
            hi="गेट अपने अभिलेख तक नहीं पहुँच सकता, इसलिए कुछ नहीं भेजा गया",
            en="the gate cannot reach its store, so nothing passes",
        ),
        "dlms.forged": Words(
            hi="मीटर का उत्तर रास्ते में बदला गया है", en="the meter's answer was altered on its way"
        ),
        "dlms.tag-damaged": Words(
            hi="मीटर के उत्तर की जाँच-मुहर रास्ते में बिगड़ गई",
            en="the check tag of the meter's answer was damaged on its way",
        ),
        "dlms.announced-too-long": Words(
            hi="इस पते से इतना लंबा संदेश घोषित हुआ जितना कोई मीटर नहीं भेजता",
            en="a longer message is announced at this address than any meter sends",
        ),
        "dlms.wrong-key": Words(
            hi="मीटर का उत्तर दर्ज कुंजी से नहीं खुलता", en="the meter's answer does not open with the stored key"
        ),
        "dlms.replayed": Words(
            hi="मीटर का पुराना उत्तर फिर भेजा गया", en="an old answer of the meter was sent again"
        ),
        "dlms.wrong-title": Words(
            hi="इस पते पर कोई दूसरा मीटर उत्तर दे रहा है", en="another meter answers at this address"
        ),
        "dlms.wrong-password": Words(hi="पासवर्ड ग़लत है", en="the password is wrong"),
        "dlms.peer-not-proven": Words(
            hi="मीटर अपनी पहचान सिद्ध नहीं कर सका", en="the meter did not prove who it is"
        ),
    }
)

_OTHER = Words(hi="मीटर ने नियम के विरुद्ध उत्तर दिया", en="the meter answered against the rules of its protocol")


_COMMANDS: Mapping[CommandState, Words] = MappingProxyType(
    {
        CommandState.REQUESTED: Words(hi="भेजे जाने की प्रतीक्षा", en="waiting to be sent"),
        CommandState.SENT: Words(hi="मीटर को भेजा गया", en="sent to the meter"),
        CommandState.ACCEPTED: Words(hi="मीटर ने स्वीकार किया", en="accepted by the meter"),
        CommandState.UNKNOWN: Words(hi="परिणाम अज्ञात", en="outcome unknown"),
        CommandState.VERIFIED: Words(hi="रिले पढ़कर पुष्टि हुई", en="verified by reading the relay"),
        CommandState.FAILED: Words(hi="नहीं हुआ", en="failed"),
        CommandState.REFUSED: Words(hi="गेट ने रोका", en="refused by the gate"),
        CommandState.EXPIRED: Words(hi="समय समाप्त, नहीं भेजा गया", en="lapsed before it was sent"),
        CommandState.CANCELLED: Words(hi="भेजने से पहले वापस लिया", en="called back before it was sent"),
    }
)

_REASONS: Mapping[ControlReason, Words] = MappingProxyType(
    {
        ControlReason.ARREARS: Words(hi="बकाया", en="arrears"),
        ControlReason.THEFT: Words(hi="विद्युत चोरी", en="theft"),
        ControlReason.SAFETY: Words(hi="सुरक्षा", en="safety"),
        ControlReason.COURT: Words(hi="न्यायालय का आदेश", en="order of a court"),
        ControlReason.REQUEST: Words(hi="उपभोक्ता का अनुरोध", en="the consumer's request"),
        ControlReason.PERMIT: Words(hi="लाइन पर काम (परमिट)", en="work on the line (permit)"),
    }
)


def command_words(state: CommandState) -> Words:
    """
    Return what the state of a command is called.

    >>> command_words(CommandState.UNKNOWN).en
    'outcome unknown'
    """
    return _COMMANDS[state]


def reason_words(reason: ControlReason) -> Words:
    """
    Return what a reason for an open relay is called.

    >>> reason_words(ControlReason.PERMIT).en
    'work on the line (permit)'
    """
    return _REASONS[reason]


def relay_words(relay: RelayReading) -> Words:
    """
    Return what a relay was read to be.

    >>> relay_words(RelayReading(output_state=True, control_state=1, control_mode=4)).en
    'supply on'
    """
    if relay.is_closed:
        return Words(hi="आपूर्ति चालू", en="supply on")
    if relay.is_open:
        return Words(hi="आपूर्ति बंद", en="supply off")
    if not relay.output_state and relay.control_state == RelayState.READY_FOR_RECONNECTION:
        return Words(hi="आपूर्ति बंद, मीटर का बटन दबाना शेष", en="supply off, the button at the meter waits")
    return Words(hi="रिले की स्थिति अस्पष्ट", en="the relay contradicts itself")


def words_of(code: str) -> Words:
    """
    Return what a code of a session, a command or the gate means.

    >>> words_of("headend.unreachable").en
    'no connection to the meter could be made'
    """
    return _WORDS.get(code, _OTHER)
