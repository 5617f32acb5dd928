"""Usage points, end devices, customer accounts, the network above them, and who hung where and when."""
