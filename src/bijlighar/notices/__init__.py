"""Messages to consumers: templates, consent, the message's life, WhatsApp, print lists and proof of service."""
