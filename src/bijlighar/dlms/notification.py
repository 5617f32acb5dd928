"""Notifications between their APDUs and their events."""

from bijlighar.dlms import apdu as apdus
from bijlighar.dlms.errors import Unexpected
from bijlighar.dlms.event import DataNotification, EventNotification, Notification


def notification_apdu(
    event: Notification,
) -> apdus.DataNotificationApdu | apdus.EventNotificationApdu:
    """Return the APDU of a notification."""
    if isinstance(event, DataNotification):
        return apdus.DataNotificationApdu(long_invoke=event.long_invoke, time=event.time, data=event.data)
    return apdus.EventNotificationApdu(time=event.time, attribute=event.attribute, data=event.data)


def notification_event(message: apdus.Apdu) -> Notification:
    """
    Return the event of a notification.

    :raises Unexpected: if it is another message.
    """
    if isinstance(message, apdus.DataNotificationApdu):
        return DataNotification(data=message.data, long_invoke=message.long_invoke, time=message.time)
    if isinstance(message, apdus.EventNotificationApdu):
        return EventNotification(attribute=message.attribute, data=message.data, time=message.time)
    raise Unexpected(f"{type(message).__name__} is not a notification")
