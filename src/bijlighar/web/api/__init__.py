"""What other systems call: callbacks, documents behind links, health."""
