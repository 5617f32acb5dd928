"""The DLMS/COSEM protocol: octets to values and back, both roles, without any I/O."""
