"""The engine's calls to custom resources, over real gRPC."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub

from dstream.errors import AuthError
from dstream.infra.attached import Actual, AttachedResources, Property, ResourceFailed, SecretValue, Values
from dstream.infra.engine.attachments import served

URN = "urn:pulumi:dev::shop::parent:index:Type$test:index:Lamp::lamp"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"


class Lamps:
    """Lamps in a dict. Some names make `create` fail."""

    properties: Mapping[str, Property] = {
        "name": Property("string", required=True, replaces=True),
        "fuse": Property("duration", defaults=("PT1M",), minimum=1, maximum=3600),
        "watts": Property("integer", defaults=(40, 60), minimum=1, maximum=100),
        "color": Property("string", defaults=("white",), choices=("white", "red")),
        "on": Property("boolean", defaults=(False,)),
        "pin": Property("string"),
        "plug": Property(
            "object", fields={"kind": Property("string", required=True), "amps": Property("number", defaults=(6,))}
        ),
        "labels": Property("map"),
        "rooms": Property("list"),
    }

    def __init__(self) -> None:
        self.real: dict[str, dict[str, Any]] = {}
        self.updated: list[Values] = []

    def problems(self, inputs: Values) -> Mapping[str, str]:
        if (inputs.get("watts"), inputs.get("color")) == (99, "red"):
            return {"color": "does not go with so many watts"}
        return {}

    def create(self, inputs: Values) -> tuple[str, Actual]:
        name = inputs["name"]
        if name == "refused":
            raise ResourceFailed("no\nlamp  today")
        if name == "not-mine":
            raise AuthError("test.auth", "the key may not create lamps")
        if name == "bug":
            raise KeyError("socket")
        self.real[name] = dict(inputs)
        return f"lamp/{name}", self._actual(name)

    def read(self, resource_id: str) -> Actual | None:
        name = resource_id.removeprefix("lamp/")
        return self._actual(name) if name in self.real else None

    def update(self, resource_id: str, inputs: Values) -> Actual:
        self.updated.append(inputs)
        self.real[resource_id.removeprefix("lamp/")] = dict(inputs)
        return self._actual(resource_id.removeprefix("lamp/"))

    def delete(self, resource_id: str) -> None:
        self.real.pop(resource_id.removeprefix("lamp/"), None)

    def _actual(self, name: str) -> Actual:
        given = {"fuse": "PT1M", "watts": 60, "color": "white", "on": False, "plug": None} | self.real[name]
        settings = {each: given.get(each) for each in self.properties if each != "pin"}
        return Actual(settings, {"hours": 7, "key": SecretValue("s3cr3t")})


@pytest.fixture
def lamps() -> Lamps:
    return Lamps()


@pytest.fixture
def engine(lamps: Lamps) -> Iterator[Any]:
    """The client that the engine uses."""
    attached = {"test": AttachedResources({"test:index:Lamp": lamps}, "1.2.3")}
    with served(attached, parallel=2) as ports, grpc.insecure_channel(f"127.0.0.1:{ports['test']}") as channel:
        yield ResourceProviderStub(channel)


def struct(values: Mapping[str, Any]) -> Struct:
    made = Struct()
    made.update(values)
    return made


def plain(found: Struct) -> dict[str, Any]:
    values: dict[str, Any] = json_format.MessageToDict(found)
    return values


def check(engine: Any, **news: Any) -> dict[str, str]:
    """The reason for each invalid property."""
    answer = engine.Check(pb.CheckRequest(urn=URN, news=struct({"name": "desk", **news})))
    return {each.property: each.reason for each in answer.failures}


def diff(engine: Any, olds: Mapping[str, Any], news: Mapping[str, Any], **more: Any) -> Any:
    """Compare the recorded inputs `olds` with the desired inputs `news`."""
    old, new = struct({"name": "desk", **olds}), struct({"name": "desk", **news})
    state = struct({"name": "desk", **olds, "hours": 7})
    return engine.Diff(pb.DiffRequest(urn=URN, id="lamp/desk", olds=state, old_inputs=old, news=new, **more))


def paths(answer: Any) -> dict[str, str]:
    return {path: pb.PropertyDiff.Kind.Name(each.kind) for path, each in answer.detailedDiff.items()}


def read(engine: Any, inputs: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """The actual inputs."""
    request = pb.ReadRequest(urn=URN, id="lamp/desk", inputs=struct(inputs), properties=struct(properties))
    return plain(engine.Read(request).inputs)


def test_the_engines_startup_calls_are_answered(engine: Any) -> None:
    engine.Handshake(pb.ProviderHandshakeRequest())
    assert engine.GetPluginInfo(Empty()).version == "1.2.3"
    assert plain(engine.CheckConfig(pb.CheckRequest(news=struct({"a": "b"}))).inputs) == {"a": "b"}
    assert engine.DiffConfig(pb.DiffRequest()).changes == pb.DiffResponse.DIFF_NONE
    configured = engine.Configure(pb.ConfigureRequest())
    assert configured.supportsPreview
    assert not configured.acceptSecrets
    engine.Cancel(Empty())
    schema = json.loads(engine.GetSchema(pb.GetSchemaRequest()).schema)
    assert schema["name"] == "test"
    assert schema["resources"]["test:index:Lamp"]["requiredInputs"] == ["name"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"name": ""}, "name must not be empty"),
        ({"name": None}, "name is required"),
        ({"wats": 1}, "wats is unknown; known properties: color, fuse, "),
        ({"watts": "40"}, 'watts must be a whole number, not "40"'),
        ({"watts": 1.5}, "watts must be a whole number, not 1.5"),
        ({"watts": True}, "watts must be a whole number, not true"),
        ({"watts": 101}, "watts must be at most 100, not 101"),
        ({"fuse": "1m"}, 'fuse must be an ISO 8601 duration, e.g. PT1M30S, not "1m"'),
        ({"fuse": "PT2H"}, "fuse must be at most 3,600 seconds, not PT2H"),
        ({"fuse": "PT0.5S"}, "fuse must be at least 1 seconds, not PT0.5S"),
        ({"color": "blue"}, 'color must be one of white, red, not "blue"'),
        ({"on": "yes"}, 'on must be true or false, not "yes"'),
        ({"plug": {"amps": 1}}, "plug.kind is required"),
        ({"plug": {"kind": "f", "volts": 1}}, "plug.volts is unknown; known properties: amps, kind"),
        ({"plug": "f"}, 'plug must be an object, not "f"'),
        ({"labels": ["a"]}, "labels must be a map, not a list"),
        ({"rooms": {}}, "rooms must be a list, not an object"),
        ({"watts": 99, "color": "red"}, "color does not go with so many watts"),
    ],
)
def test_an_invalid_property_is_refused_by_name(engine: Any, wrong: dict[str, Any], reason: str) -> None:
    ((path, said),) = check(engine, **wrong).items()
    assert said.startswith(reason)
    assert said.startswith(path)


def test_unknown_and_secret_values_are_accepted(engine: Any) -> None:
    unknowns = [UNKNOWN, "3eeb2bf0-c639-47a8-9e75-3b44932eb421", {SIGNATURE: OUTPUT, "dependencies": []}]
    assert [check(engine, watts=each) for each in unknowns] == [{}, {}, {}]
    assert check(engine, watts={SIGNATURE: SECRET, "value": 7}) == {}
    assert check(engine, watts={SIGNATURE: OUTPUT, "value": 700}).keys() == {"watts"}


def test_equivalent_values_are_not_a_difference(engine: Any) -> None:
    same = diff(
        engine,
        {"fuse": "PT60S", "watts": 60, "labels": {"a": 1}, "plug": {"kind": "f"}},
        {"fuse": "PT1M", "color": "white", "labels": {"a": 1.0}, "plug": {"kind": "f"}},
    )
    assert same.changes == pb.DiffResponse.DIFF_NONE
    assert not same.replaces


def test_differences_are_reported_by_path(engine: Any) -> None:
    answer = diff(
        engine,
        {
            "plug": {"kind": "f", "amps": 7},
            "labels": {"a.b": "x", "c": "y", "d": 1},
            "rooms": ["a", "b"],
            "fuse": "PT5M",
        },
        {"plug": {"kind": "g"}, "labels": {"a.b": "z", "c": "y", "d": True}, "rooms": ["a", "c", "d"], "on": True},
    )
    assert paths(answer) == {
        "plug.kind": "UPDATE",
        "plug.amps": "DELETE",
        'labels["a.b"]': "UPDATE",
        "labels.d": "UPDATE",
        "rooms[1]": "UPDATE",
        "rooms[2]": "ADD",
        "fuse": "DELETE",
        "on": "ADD",
    }
    assert answer.hasDetailedDiff
    assert sorted(answer.diffs) == ["fuse", "labels", "on", "plug", "rooms"]
    assert not answer.deleteBeforeReplace


@pytest.mark.parametrize("name", ["table", UNKNOWN])
def test_a_changed_name_is_a_replacement_that_deletes_first(engine: Any, name: str) -> None:
    answer = diff(engine, {}, {"name": name, "watts": UNKNOWN})
    assert paths(answer) == {"name": "UPDATE_REPLACE", "watts": "ADD"}
    assert list(answer.replaces) == ["name"]
    assert answer.deleteBeforeReplace


def test_ignored_changes_are_not_a_difference(engine: Any) -> None:
    answer = diff(engine, {"plug": {"kind": "f"}}, {"plug": {"kind": "g"}, "on": True}, ignoreChanges=["plug", "on"])
    assert answer.changes == pb.DiffResponse.DIFF_NONE


def test_a_preview_changes_nothing_and_returns_known_values(engine: Any, lamps: Lamps) -> None:
    wanted = struct({"name": "desk", "watts": UNKNOWN})
    made = engine.Create(pb.CreateRequest(urn=URN, properties=wanted, preview=True))
    assert plain(made.properties) == {"name": "desk", "watts": UNKNOWN}
    changed = engine.Update(
        pb.UpdateRequest(urn=URN, id="lamp/desk", olds=struct({"name": "desk", "hours": 7}), news=wanted, preview=True)
    )
    assert plain(changed.properties) == {"name": "desk", "watts": UNKNOWN, "hours": 7}
    assert (lamps.real, lamps.updated) == ({}, [])


def test_a_created_resource_is_recorded_with_its_secrets_marked(engine: Any) -> None:
    made = engine.Create(pb.CreateRequest(urn=URN, properties=struct({"name": "desk", "pin": "1234"})))
    assert made.id == "lamp/desk"
    assert plain(made.properties) == {
        **{"name": "desk", "pin": "1234", "fuse": "PT1M", "watts": 60, "color": "white", "on": False, "hours": 7},
        "key": {SIGNATURE: SECRET, "value": "s3cr3t"},
    }


def test_an_update_resets_removed_settings_to_their_defaults(engine: Any, lamps: Lamps) -> None:
    lamps.real["desk"] = {"name": "desk"}
    old = struct({"name": "desk", "watts": 7, "plug": {"kind": "f"}})
    state = struct({"name": "desk", "watts": 7, "plug": {"kind": "f"}, "color": "red"})
    news = struct({"name": "desk", "fuse": "PT2M"})
    engine.Update(pb.UpdateRequest(urn=URN, id="lamp/desk", olds=state, old_inputs=old, news=news))
    assert lamps.updated == [{"name": "desk", "fuse": "PT2M", "watts": 40, "plug": None}]


def test_a_refresh_shows_only_actual_drift(engine: Any, lamps: Lamps) -> None:
    recorded = {"name": "desk", "fuse": "PT60S", "pin": "1234", "plug": {"kind": "f"}, "color": "white"}
    given = {"watts": 75}  # chosen by the service at creation
    lamps.real["desk"] = {**recorded, "watts": 75, "fuse": "PT1M"}
    assert read(engine, recorded, given) == recorded
    lamps.real["desk"] |= {"watts": 80, "plug": {"kind": "g"}, "color": "red", "on": True}
    assert read(engine, recorded, given) == {
        **recorded,
        **{"watts": 80, "plug": {"kind": "g"}, "color": "red", "on": True},
    }
    lamps.real["desk"] |= {"plug": {"kind": "f", "amps": 6}}
    assert read(engine, recorded, given)["plug"] == {"kind": "f"}
    lamps.real["desk"] |= {"plug": None, "color": None}
    gone = read(engine, recorded, given)
    assert "plug" not in gone
    assert gone["color"] == "white", "its default, so the same as unset"
    del lamps.real["desk"]
    assert engine.Read(pb.ReadRequest(urn=URN, id="lamp/desk", inputs=struct(recorded))).id == ""


def test_an_import_reads_names_and_non_default_values(engine: Any, lamps: Lamps) -> None:
    lamps.real["desk"] = {"name": "desk", "watts": 60, "fuse": "PT2M", "plug": {"kind": "f"}}
    assert read(engine, {}, {}) == {"name": "desk", "fuse": "PT2M", "plug": {"kind": "f"}}


@pytest.mark.parametrize(
    ("name", "text"),
    [("refused", "no lamp today"), ("not-mine", "the key may not create lamps"), ("bug", "KeyError: 'socket'")],
)
def test_a_failure_is_one_line(engine: Any, name: str, text: str) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        engine.Create(pb.CreateRequest(urn=URN, properties=struct({"name": name})))
    assert failed.value.details() == text


def test_an_unknown_type_or_function_is_named(engine: Any) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        engine.Delete(pb.DeleteRequest(urn="urn:pulumi:dev::shop::test:index:Chair::x", id="x"))
    assert failed.value.details() == "unknown resource type test:index:Chair; known types: test:index:Lamp"
    with pytest.raises(grpc.RpcError, match="has no functions"):
        engine.Invoke(pb.InvokeRequest(tok="test:index:getLamp"))
