"""Display texts of resources and differences are optional fields."""

from __future__ import annotations

import json

from dstream.protocol.lifecycle import decode_result
from dstream.protocol.messages import encode
from dstream.sdk import Difference, Resource
from dstream.sdk._lifecycle import _listed, _result


def fields(resource: Resource) -> dict[str, object]:
    line = encode(_result("Success", [_listed(resource, "planned")], {}, "", None))
    assert decode_result(line) is not None
    found: dict[str, object] = json.loads(line)["resources"][0]
    return found


def test_texts_are_omitted_unless_the_provider_sets_them() -> None:
    plain = fields(Resource("a", diff=[Difference("size", 1, 2)]))
    assert not {"kind", "held"} & set(plain)
    assert plain["diff"] == [{"path": "size", "old": 1, "new": 2}]


def test_texts_are_sent_next_to_raw_values() -> None:
    sent = fields(Resource("a", diff=[Difference("size", 1, 2, "max size", "1GB", "2GB")], kind="box", held="rows"))
    assert (sent["kind"], sent["held"]) == ("box", "rows")
    assert sent["diff"] == [
        {"path": "size", "old": 1, "new": 2, "label": "max size", "old_text": "1GB", "new_text": "2GB"}
    ]


def test_a_result_with_fields_from_a_later_version_can_be_read() -> None:
    result = decode_result(
        b'{"status":"Success","resources":[{"name":"a","later":1,"diff":[{"path":"size","later":{}}]}]}'
    )
    assert result is not None
    assert result.resources[0].diff[0].path == "size"
