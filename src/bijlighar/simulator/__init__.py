"""A town of meters in the server role, its line and its people, and the fake providers of a demo."""
