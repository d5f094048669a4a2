import pytest
from hypothesis import given
from hypothesis import strategies as st
from watchdesk_proto.catalogue import Column, Kind, Measurement, Type, builtin, counter, dump, gauge, label, load, text

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True).filter(lambda name: name not in {"ts", "host", "host_id"})


@st.composite
def measurements(draw: st.DrawFn) -> Measurement:
    makers = st.sampled_from([label, text, gauge, counter])
    columns = [draw(makers)(name, draw(st.text(max_size=10))) for name in draw(st.lists(NAMES, unique=True, max_size=6))]
    return Measurement(name=draw(NAMES), help="", columns=tuple(columns))


@given(st.lists(measurements(), max_size=4, unique_by=lambda m: m.name))
def test_a_catalogue_survives_being_written_and_read(catalogue: list[Measurement]) -> None:
    assert list(load(dump(catalogue))) == sorted(catalogue, key=lambda m: m.name)


def test_the_schema_id_depends_on_what_is_stored_and_not_on_the_help() -> None:
    a = Measurement(name="cpu", help="x", columns=(gauge("busy_ratio", "x", unit="ratio"),))
    b = Measurement(name="cpu", help="y", columns=(gauge("busy_ratio", "y", unit="ratio"),))
    c = Measurement(name="cpu", help="x", columns=(gauge("busy_ratio", "x", unit="ratio", type=Type.INT64),))
    assert a.schema_id == b.schema_id != c.schema_id
    assert 0 < a.schema_id < 2**63


@pytest.mark.parametrize(
    ("name", "columns", "complaint"),
    [
        ("CPU", (), "lower case"),
        ("cpu", (gauge("ts", ""),), "not allowed"),
        ("cpu", (gauge("a", ""), gauge("a", "")), "there twice"),
        ("cpu", (Column(name="a", kind=Kind.LABEL, type=Type.INT64, help=""),), "cannot be a label of type int64"),
    ],
)
def test_a_measurement_that_could_not_be_a_table_is_refused(name: str, columns: tuple[Column, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Measurement(name=name, help="", columns=columns)


def test_the_built_in_catalogue_holds_what_every_host_has() -> None:
    names = {measurement.name for measurement in builtin()}
    assert {"cpu", "memory", "disk", "network", "probe", "log", "agent"} <= names
