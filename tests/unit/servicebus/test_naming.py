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


def test_a_template_fills_in_its_fields() -> None:
    assert NameTemplate("{a}-{b}/{a}").render({"a": "1", "b": "2"}) == "1-2/1"


def test_a_template_names_a_missing_field() -> None:
    with pytest.raises(KeyError, match="b"):
        NameTemplate("{a}-{b}").render({"a": "1"})


@pytest.mark.parametrize("text", ["{", "a}", "{a b}", "{{a}}", "{}"])
def test_a_brace_that_is_not_part_of_a_field_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="brace"):
        NameTemplate(text)


@pytest.mark.parametrize("name", ["a", "a-b", "a/b/c", "A.b_c", "0" * 260])
def test_names_that_service_bus_accepts(name: str) -> None:
    assert is_entity_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "é", "0" * 261, "/a", "a\n"])
def test_names_that_service_bus_refuses(name: str) -> None:
    assert not is_entity_name(name)


def test_entities_are_known_in_advance_if_names_depend_only_on_the_table() -> None:
    names = EntityNames("queue", ORIGINAL_NAME, "localhost", "TestDB", ("dbo.Cars", "cars", "Persons"))

    assert names.known() == ("localhost-test-db-cars", "localhost-test-db-persons")


def test_entities_are_unknown_if_names_depend_on_more_than_the_table() -> None:
    assert EntityNames("topic", NameTemplate("{table}-{OperationType}"), tables=("Cars",)).known() == ()
