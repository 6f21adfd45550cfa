"""Problems that exist before the first event are reported before `ready`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from dstream.errors import DStreamError
from tests.integration.servicebus.broker import KEY, Broker, publishing


def failure(broker: Broker, queue: str, **settings: Any) -> tuple[str, str, str]:
    with pytest.raises(DStreamError) as caught, publishing(broker, queue, **settings):
        pass
    assert caught.value.hint
    return caught.value.code, caught.value.kind, caught.value.config_path


def test_a_missing_queue(calm: Broker) -> None:
    assert failure(calm, "missing") == ("servicebus.entity_not_found", "config", "queue")


def test_a_missing_queue_over_tls(calm: Broker) -> None:
    found = failure(calm, "missing", connection_string=calm.tls_connection_string, ca_file=calm.ca_file)

    assert found == ("servicebus.entity_not_found", "config", "queue")


def test_a_wrong_key(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name())
    wrong = calm.connection_string.replace(KEY, "d3Jvbmcga2V5")

    assert failure(calm, queue, connection_string=wrong) == ("servicebus.unauthorized", "auth", "connection_string")


def test_a_wrong_key_over_tls(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name())
    wrong = calm.tls_connection_string.replace(KEY, "d3Jvbmcga2V5")

    found = failure(calm, queue, connection_string=wrong, ca_file=calm.ca_file)

    assert found == ("servicebus.unauthorized", "auth", "connection_string")


def test_a_closed_port(calm: Broker) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nowhere = f"Endpoint=sb://localhost:{port};SharedAccessKeyName=n;SharedAccessKey=k=;UseDevelopmentEmulator=true;"

    found = failure(calm, "q", connection_string=nowhere)

    assert found == ("servicebus.unreachable", "unreachable", "connection_string")


def test_a_missing_ca_file(calm: Broker) -> None:
    with pytest.raises(DStreamError, match="no-such-file") as caught, publishing(calm, "q", ca_file="no-such-file"):
        pass

    assert (caught.value.kind, caught.value.config_path) == ("config", "ca_file")


def test_a_certificate_of_an_unknown_ca(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name())

    found = failure(calm, queue, connection_string=calm.tls_connection_string)

    assert found == ("servicebus.unreachable", "unreachable", "connection_string")


@pytest.mark.parametrize("text", ["nonsense", "Endpoint=sb://localhost/", "SharedAccessKeyName=a;SharedAccessKey=b"])
def test_an_invalid_connection_string(calm: Broker, text: str) -> None:
    found = failure(calm, "q", connection_string=text)

    assert found == ("servicebus.bad_connection_string", "config", "connection_string")


def test_a_queue_that_requires_sessions_when_none_are_sent(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name(), requires_session=True)

    found = failure(calm, queue, admin_connection_string=calm.admin_connection_string, ca_file=calm.ca_file)

    assert found == ("servicebus.session_required", "config", "session")


def test_a_partitioned_queue_with_duplicate_detection(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name(), enable_partitioning=True, requires_duplicate_detection=True)

    found = failure(calm, queue, admin_connection_string=calm.admin_connection_string, ca_file=calm.ca_file)

    assert found == ("servicebus.no_batches", "config", "queue")


def test_a_disabled_queue(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name())
    with calm.administration() as administration:
        properties = administration.get_queue(queue)
        properties.status = "Disabled"
        administration.update_queue(properties)

    assert failure(calm, queue) == ("servicebus.entity_disabled", "config", "queue")


def test_duplicate_detection_turned_off_is_a_warning(calm: Broker, new_name: Callable[[], str]) -> None:
    settings = {"admin_connection_string": calm.admin_connection_string, "ca_file": calm.ca_file}
    off = calm.create_queue(new_name())
    on = calm.create_queue(new_name(), requires_duplicate_detection=True)

    with publishing(calm, off, **settings) as without, publishing(calm, on, **settings) as having:
        pass

    (warning,) = without.logs("servicebus.duplicate_detection")
    assert (warning["level"], warning["state"], warning["entity"]) == ("warning", "off", off)
    assert warning["note"] == "events resent after a crash appear twice, with the same message id"
    assert not having.logs("servicebus.duplicate_detection")


def test_duplicate_detection_that_cannot_be_read_is_unknown(calm: Broker, new_name: Callable[[], str]) -> None:
    queue = calm.create_queue(new_name())
    settings = {
        "admin_connection_string": calm.admin_connection_string.replace(KEY, "d3Jvbmc="),
        "ca_file": calm.ca_file,
    }

    with publishing(calm, queue, **settings) as run:
        pass

    (log,) = run.logs("servicebus.duplicate_detection")
    assert (log["level"], log["state"]) == ("info", "unknown, requires the Manage claim")


def test_an_entity_younger_than_the_checkpoint_is_a_warning(calm: Broker, new_name: Callable[[], str]) -> None:
    settings = {"admin_connection_string": calm.admin_connection_string, "ca_file": calm.ca_file}
    topic = new_name()
    with calm.administration() as administration:
        queue = administration.create_queue(new_name()).name
        administration.create_topic(topic)
        administration.create_subscription(topic, "audit")

    def warnings(checkpoint_stored_at: str | None, **entity: str) -> list[str]:
        with publishing(calm, **settings, **entity, checkpoint_stored_at=checkpoint_stored_at) as run:
            pass
        return [warning["entity"] for warning in run.logs("servicebus.younger_than_checkpoint")]

    assert warnings("2001-01-01T00:00:00.000Z", queue=queue) == [queue]
    assert warnings("2001-01-01T00:00:00.000Z", topic=topic) == [topic, f"{topic}/audit"]
    assert warnings("2999-01-01T00:00:00.000Z", queue=queue) == []
    assert warnings(None, queue=queue) == []
    assert warnings("written by hand", queue=queue) == []
