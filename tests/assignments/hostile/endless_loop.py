"""Never comes to an end."""


def forward(x, gamma, beta, eps):
    while True:
        pass
