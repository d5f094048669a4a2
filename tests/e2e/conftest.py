"""`--full` runs the scenarios at the length that their claims are made for; without it they are a short slice."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="outages of minutes and dozens of kill -9")


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--full", default=False))
