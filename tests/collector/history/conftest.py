import pytest
from collector.history.damage_kit import Crashed, crash


@pytest.fixture(scope="session")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Crashed:
    return crash(tmp_path_factory.mktemp("crashed"))
