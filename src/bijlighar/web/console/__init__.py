"""The pages of the control room and the offices."""
