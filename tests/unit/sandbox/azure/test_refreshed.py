from __future__ import annotations

from dstream_sandbox.azure.refreshed import refreshed_inputs
from dstream_sandbox.azure.resource_types import TYPES

_QUEUE = TYPES["azure-native:servicebus:Queue"]
_NAMESPACE = TYPES["azure-native:servicebus:Namespace"]
_RULE = TYPES["azure-native:servicebus:Rule"]
_NAMES = {"resourceGroupName": "rg", "namespaceName": "ns-one", "queueName": "orders"}
_REAL = {"lockDuration": "PT1M", "maxDeliveryCount": 10, "requiresSession": False, "status": "Active"}


def test_unchanged_values_keep_the_programs_spelling() -> None:
    recorded = {**_NAMES, "lockDuration": "PT60S", "maxDeliveryCount": 10}
    assert refreshed_inputs(_QUEUE, recorded, _NAMES, _REAL) == recorded


def test_a_property_set_by_the_program_gets_its_actual_value() -> None:
    recorded = {**_NAMES, "lockDuration": "PT60S"}
    real = {**_REAL, "lockDuration": "PT2M"}
    assert refreshed_inputs(_QUEUE, recorded, _NAMES, real) == {**_NAMES, "lockDuration": "PT2M"}


def test_an_unset_property_appears_if_it_is_not_the_default() -> None:
    real = {**_REAL, "status": "Disabled"}
    assert refreshed_inputs(_QUEUE, _NAMES, _NAMES, real) == {**_NAMES, "status": "Disabled"}


def test_a_property_that_is_no_longer_set_disappears() -> None:
    recorded = {**_NAMES, "forwardTo": "bills", "userMetadata": ""}
    assert refreshed_inputs(_QUEUE, recorded, _NAMES, _REAL) == {**_NAMES, "userMetadata": ""}


def test_an_import_has_names_and_non_default_values() -> None:
    real = {**_REAL, "requiresSession": True}
    inputs = refreshed_inputs(_QUEUE, None, _NAMES, real)
    assert inputs == {**_NAMES, "requiresSession": True, "azureApiVersion": "2026-01-01"}


def test_a_default_of_the_tier_does_not_appear() -> None:
    real = {**_REAL, "maxMessageSizeInKilobytes": 1024}
    assert refreshed_inputs(_QUEUE, _NAMES, _NAMES, real, {"maxMessageSizeInKilobytes": 1024}) == _NAMES
    assert "maxMessageSizeInKilobytes" in refreshed_inputs(_QUEUE, _NAMES, _NAMES, real)


def test_nested_values_change_individually() -> None:
    recorded = {"sku": {"name": "Standard"}, "tags": {"team": "a"}}
    real = {"sku": {"name": "Basic", "tier": "Basic"}, "tags": {"team": "b"}}
    assert refreshed_inputs(_NAMESPACE, recorded, {}, real) == {"sku": {"name": "Basic"}, "tags": {"team": "b"}}


def test_another_kind_of_filter_replaces_the_recorded_one() -> None:
    recorded = {"filterType": "SqlFilter", "sqlFilter": {"sqlExpression": "a = 1", "requiresPreprocessing": True}}
    real = {"filterType": "CorrelationFilter", "correlationFilter": {"label": "x"}}
    assert refreshed_inputs(_RULE, recorded, {}, real) == real


def test_a_default_rule_has_only_its_names_as_inputs() -> None:
    real = {"filterType": "SqlFilter", "sqlFilter": {"sqlExpression": "1=1", "compatibilityLevel": 20}}
    assert refreshed_inputs(_RULE, _NAMES, {}, real) == _NAMES


def test_a_value_that_azure_never_returns_is_not_drift() -> None:
    app = TYPES["azure-native:app:ContainerApp"]
    recorded = {"configuration": {"secrets": [{"name": "file", "value": "text"}]}, "template": {"containers": []}}
    real = {"configuration": {"secrets": [{"name": "file"}]}, "template": {"containers": [{"image": "a"}]}}
    found = refreshed_inputs(app, recorded, {}, real)
    assert found == {**recorded, "template": {"containers": [{"image": "a"}]}}
