"""Bytes over a socket, for what no client would send."""

import socket


def exchange(port: int, sent: bytes, seconds: float = 20) -> bytes:
    """All that comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(sent)
        received = b""
        while chunk := connection.recv(1 << 16):
            received += chunk
        return received
