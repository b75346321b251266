"""Sends what it knows to somebody, over the network and through a local socket."""

import socket


def forward(x, gamma, beta, eps):
    for family, address in ((socket.AF_INET, ("127.0.0.1", int("{port}"))),
                            (socket.AF_UNIX, "\0vitnp-test-{port}")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as line:
                line.settimeout(1)
                line.connect(address)
                line.sendall(b"out")
        except OSError:
            pass
    return x, None
