"""Bijlighar (बिजलीघर): runs the smart meters of an electricity distribution company."""

__version__ = "0.1.0"
