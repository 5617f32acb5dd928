"""Callbacks, documents and health over HTTP: no SQL, no arithmetic on money."""
