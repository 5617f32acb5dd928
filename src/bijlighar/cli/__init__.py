"""Parse, call a door, print; start the servers."""
