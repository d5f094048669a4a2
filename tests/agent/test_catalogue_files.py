from pathlib import Path

import pytest
from watchdesk_agent.catalogue import CATALOGUE_FILE, METRICS_FILE, all_measurements, files
from watchdesk_proto.catalogue import builtin

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", [CATALOGUE_FILE, METRICS_FILE], ids=str)
def test_generated_files_are_up_to_date(path: Path) -> None:
    is_up_to_date = (CHECKOUT / path).read_bytes() == dict(files())[path].encode()
    assert is_up_to_date, f"{path} differs from what the samplers declare: run `make docs`"


def test_builtin_catalogue_is_what_the_agent_takes() -> None:
    is_same = {measurement.name: measurement for measurement in builtin()} == {measurement.name: measurement for measurement in all_measurements()}
    assert is_same, "run `make docs`"


def test_no_measurement_is_declared_twice() -> None:
    names = [measurement.name for measurement in all_measurements()]
    assert len(names) == len(set(names))
