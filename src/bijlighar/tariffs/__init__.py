"""Tariff books as data and their pure pricing: vector, scalar and explanation."""
