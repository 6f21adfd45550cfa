from __future__ import annotations

from dstream_sandbox.azure.refreshed import refreshed_inputs
from dstream_sandbox.azure.resource_types import TYPES

_QUEUE = TYPES["azure-native:servicebus:Queue"]
_NAMESPACE = TYPES["azure-native:servicebus:Namespace"]
_RULE = TYPES["azure-native:servicebus:Rule"]
_NAMES = {"resourceGroupName": "rg", "namespaceName": "ns-one", "queueName": "orders"}
_REAL = {"lockDuration": "PT1M", "maxDeliveryCount": 10, "requiresSession": False, "status": "Active"}


def test_nothing_changed_is_the_programs_own_words() -> None:
    recorded = {**_NAMES, "lockDuration": "PT60S", "maxDeliveryCount": 10}
    assert refreshed_inputs(_QUEUE, recorded, _NAMES, _REAL) == recorded


def test_what_the_program_names_has_its_real_value() -> None:
    recorded = {**_NAMES, "lockDuration": "PT60S"}
    real = {**_REAL, "lockDuration": "PT2M"}
    assert refreshed_inputs(_QUEUE, recorded, _NAMES, real) == {**_NAMES, "lockDuration": "PT2M"}


def test_what_it_does_not_name_appears_when_it_is_no_default() -> None:
    real = {**_REAL, "status": "Disabled"}
    assert refreshed_inputs(_QUEUE, _NAMES, _NAMES, real) == {**_NAMES, "status": "Disabled"}


def test_what_is_not_set_any_more_is_gone() -> None:
    recorded = {**_NAMES, "forwardTo": "bills", "userMetadata": ""}
    assert refreshed_inputs(_QUEUE, recorded, _NAMES, _REAL) == {**_NAMES, "userMetadata": ""}


def test_an_import_has_the_names_and_what_is_no_default() -> None:
    real = {**_REAL, "requiresSession": True}
    inputs = refreshed_inputs(_QUEUE, None, _NAMES, real)
    assert inputs == {**_NAMES, "requiresSession": True, "azureApiVersion": "2026-01-01"}


def test_a_tiers_default_does_not_appear() -> None:
    real = {**_REAL, "maxMessageSizeInKilobytes": 1024}
    assert refreshed_inputs(_QUEUE, _NAMES, _NAMES, real, {"maxMessageSizeInKilobytes": 1024}) == _NAMES
    assert "maxMessageSizeInKilobytes" in refreshed_inputs(_QUEUE, _NAMES, _NAMES, real)


def test_nested_values_change_one_by_one() -> None:
    recorded = {"sku": {"name": "Standard"}, "tags": {"team": "a"}}
    real = {"sku": {"name": "Basic", "tier": "Basic"}, "tags": {"team": "b"}}
    assert refreshed_inputs(_NAMESPACE, recorded, {}, real) == {"sku": {"name": "Basic"}, "tags": {"team": "b"}}


def test_another_filter_takes_the_place_of_the_one_that_was() -> None:
    recorded = {"filterType": "SqlFilter", "sqlFilter": {"sqlExpression": "a = 1", "requiresPreprocessing": True}}
    real = {"filterType": "CorrelationFilter", "correlationFilter": {"label": "x"}}
    assert refreshed_inputs(_RULE, recorded, {}, real) == real


def test_a_default_rule_has_no_inputs_but_its_names() -> None:
    real = {"filterType": "SqlFilter", "sqlFilter": {"sqlExpression": "1=1", "compatibilityLevel": 20}}
    assert refreshed_inputs(_RULE, _NAMES, {}, real) == _NAMES
