"""Stock, work orders, installation, commissioning, the hand-over from the old meter, progress and forecast."""
