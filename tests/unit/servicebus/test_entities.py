"""Ids, settings and refusals of mode `entities` that need no service."""

from __future__ import annotations

from datetime import timedelta

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceExistsError, ServiceRequestError
from dstream_servicebus.entities import ids
from dstream_servicebus.entities.conflicts import retry_conflicts
from dstream_servicebus.entities.errors import raise_resource_failed
from dstream_servicebus.entities.resources import _entity_path, _iso_duration, _size_of_one_partition
from dstream_servicebus.entities.rules import Rules
from dstream_servicebus.entities.settings import QUEUE, RULE, SUBSCRIPTION, TOPIC
from dstream_stacks import inputs as spec_inputs
from dstream_stacks import resource_ids
from dstream_stacks.properties import FOREVER
from hypothesis import given
from hypothesis import strategies as st

from dstream.infra.attached.types import UNKNOWN, ResourceFailed
from dstream.infra.attached.values import seconds_of

SHAPES = {
    resource_ids.OWN_QUEUE: ids.QUEUE_ID,
    resource_ids.OWN_TOPIC: ids.TOPIC_ID,
    resource_ids.OWN_SUBSCRIPTION: ids.SUBSCRIPTION_ID,
    resource_ids.OWN_RULE: ids.RULE_ID,
}


@pytest.mark.parametrize("token", SHAPES)
@pytest.mark.parametrize("first", ["orders", "eu/orders", "a/subscription/b"])
def test_ids_match_the_program_and_are_parsed_back_into_names(token: str, first: str) -> None:
    shape = SHAPES[token]
    names = dict(zip(shape.names, (first, "audit", "$Default"), strict=False))
    resource_id = shape.id_of(names)
    assert resource_id == resource_ids.resource_id(token, names)
    assert shape.keys_of(resource_id) == tuple(names.values())


def test_an_id_of_another_type_is_refused() -> None:
    with pytest.raises(ResourceFailed, match="expected topic/NAME/subscription/NAME"):
        ids.SUBSCRIPTION_ID.keys_of("queue/orders")


@pytest.mark.parametrize(
    ("table", "properties"),
    [(spec_inputs.QUEUE, QUEUE), (spec_inputs.TOPIC, TOPIC), (spec_inputs.SUBSCRIPTION, SUBSCRIPTION)],
)
def test_every_setting_of_a_spec_is_known(table: dict[str, spec_inputs.Input], properties: dict[str, object]) -> None:
    assert {each.name for each in table.values()} <= properties.keys()


def test_every_field_of_a_specs_correlation_filter_is_known() -> None:
    assert {each.name for each in spec_inputs.CORRELATION_FILTER.values()} == RULE["correlationFilter"].fields.keys()


@given(st.timedeltas(timedelta(0), timedelta(days=10_000)))
def test_a_duration_keeps_its_length_as_text(span: timedelta) -> None:
    assert float(seconds_of(_iso_duration(span))) == pytest.approx(span.total_seconds())


def test_the_longest_duration_is_written_like_in_the_service() -> None:
    rounded_by_the_sdk = timedelta(days=10_675_199, hours=2, minutes=48, seconds=5, microseconds=477_581)
    assert _iso_duration(rounded_by_the_sdk) == FOREVER
    assert _iso_duration(timedelta(days=7)) == "P7D"
    assert _iso_duration(timedelta(0)) == "PT0S"


def test_forwarding_uses_names_and_partitioned_sizes_are_per_partition() -> None:
    assert _entity_path("sb://ns.servicebus.windows.net/eu/orders") == "eu/orders"
    assert _entity_path("orders") == "orders"
    assert [_size_of_one_partition(mb) for mb in (1024, 5120, 16384, 81920)] == [1024, 5120, 1024, 5120]


@pytest.mark.parametrize(
    ("wrong", "at"),
    [
        ({"sqlFilter": {"sqlExpression": "1=1"}, "correlationFilter": {"label": "x"}}, "correlationFilter"),
        ({"correlationFilter": {}}, "correlationFilter"),
        ({"correlationFilter": {"label": "x"}, "filterType": "SqlFilter"}, "filterType"),
        ({"filterType": "CorrelationFilter"}, "filterType"),
    ],
)
def test_a_rule_has_one_filter_of_its_declared_type(wrong: dict[str, object], at: str) -> None:
    rules = Rules(lambda: pytest.fail("no need to ask the service"))
    assert rules.problems(wrong).keys() == {at}
    assert rules.problems({"sqlFilter": UNKNOWN, "filterType": "SqlFilter"}) == {}


def _status(code: int, text: str) -> HttpResponseError:
    error = HttpResponseError(text)
    error.status_code = code
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ClientAuthenticationError("SubCode=40100. Unauthorized."), "not authorized: requires the Manage claim"),
        (_status(403, "Forbidden"), "not authorized: requires the Manage claim"),
        (_status(429, "SubCode=50009. Busy."), "still throttled after retries: SubCode=50009. Busy."),
        (_status(503, "Busy"), "still throttled after retries: Busy"),
        (
            ResourceExistsError(
                "Operation returned an invalid status 'Conflict'\nContent: <Error><Code>409</Code>"
                "<Detail>SubCode=40901. In\nprogress.</Detail></Error>"
            ),
            "conflict: SubCode=40901. In progress.",
        ),
        (_status(400, "SubCode=40000. No partitions here.\nMore"), "SubCode=40000. No partitions here."),
        (ServiceRequestError("no route"), "the administration endpoint is unreachable: no route"),
    ],
)
def test_a_refusal_is_one_line(error: Exception, text: str) -> None:
    with pytest.raises(ResourceFailed) as failed, raise_resource_failed("queue/orders"):
        raise error
    assert str(failed.value) == f"queue/orders: {text}"


@pytest.mark.parametrize(
    "text",
    [
        "<Detail>SubCode=40901. Another conflicting operation is in progress.</Detail>",
        "Resource Conflict Occurred. Another conflicting operation may be in progress.",
    ],
)
def test_a_conflicting_operation_is_retried_with_growing_waits(text: str) -> None:
    refusals = [_status(409, text)] * 3
    waits: list[float] = []

    def create() -> str:
        if refusals:
            raise refusals.pop()
        return "made"

    assert retry_conflicts(create, waits.append) == "made"
    assert len(waits) == 3
    assert 0.5 * waits[1] < waits[2] < 12


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (_status(409, "<Detail>SubCode=40900. Conflict.</Detail>"), 1),
        (_status(400, "SubCode=40000."), 1),
        (_status(409, "<Detail>SubCode=40901.</Detail>"), 6),
    ],
)
def test_other_refusals_and_endless_conflicts_are_final(error: HttpResponseError, attempts: int) -> None:
    attempted: list[str] = []

    def create() -> None:
        attempted.append("create")
        raise error

    with pytest.raises(HttpResponseError):
        retry_conflicts(create, lambda _: None)
    assert len(attempted) == attempts
