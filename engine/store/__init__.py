"""Vector stores: one protocol, several real implementations."""
