from __future__ import annotations

import pytest
from dstream_stacks.entities import ORIGINAL_NAME, EntityNames
from dstream_stacks.naming import NameTemplate, is_entity_name, kebab, kebab_table


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TestDB", "test-db"),
        ("LOCALHOST", "localhost"),
        ("OrderLines", "order-lines"),
        ("SQLServerLog", "sql-server-log"),
        ("order_lines 2", "order-lines-2"),
        (r"sql01\INST,1433", "sql01-inst-1433"),
    ],
)
def test_names_are_words_joined_by_hyphens(name: str, expected: str) -> None:
    assert kebab(name) == expected


@pytest.mark.parametrize(
    ("table", "expected"), [("dbo.Cars", "cars"), ("Cars", "cars"), ("DBO.Cars", "cars"), ("sales.Cars", "sales-cars")]
)
def test_only_a_schema_other_than_dbo_shows_in_a_name(table: str, expected: str) -> None:
    assert kebab_table(table) == expected


def test_a_template_takes_each_field_from_the_values() -> None:
    assert NameTemplate("{a}-{b}/{a}").render({"a": "1", "b": "2"}) == "1-2/1"


def test_a_template_names_the_field_that_is_missing() -> None:
    with pytest.raises(KeyError, match="b"):
        NameTemplate("{a}-{b}").render({"a": "1"})


@pytest.mark.parametrize("text", ["{", "a}", "{a b}", "{{a}}", "{}"])
def test_a_brace_that_is_no_field_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="brace"):
        NameTemplate(text)


@pytest.mark.parametrize("name", ["a", "a-b", "a/b/c", "A.b_c", "0" * 260])
def test_names_that_service_bus_takes(name: str) -> None:
    assert is_entity_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "é", "0" * 261, "/a", "a\n"])
def test_names_that_service_bus_refuses(name: str) -> None:
    assert not is_entity_name(name)


def test_entities_are_known_before_the_first_event_when_only_the_table_decides() -> None:
    names = EntityNames("queue", ORIGINAL_NAME, "localhost", "TestDB", ("dbo.Cars", "cars", "Persons"))

    assert names.known() == ("localhost-test-db-cars", "localhost-test-db-persons")


def test_entities_are_not_known_when_more_than_the_table_decides() -> None:
    assert EntityNames("topic", NameTemplate("{table}-{OperationType}"), tables=("Cars",)).known() == ()
