"""Bills from validated energy, their PDF, and corrections by difference lines."""
