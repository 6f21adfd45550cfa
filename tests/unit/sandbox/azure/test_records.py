from __future__ import annotations

import stat
from pathlib import Path

from dstream_sandbox.azure.built_in import built_in_keys
from dstream_sandbox.azure.records import GroupRecord, NamespaceRecord, Records, new_policy, shared_keys
from dstream_sandbox.servicebus.access import SharedKey

_ROOT = SharedKey("RootManageSharedAccessKey", ("secret",))


def _namespace(name: str, **settings: object) -> NamespaceRecord:
    return NamespaceRecord(name, "rg", settings, (new_policy("app", ("Send",), 1.0),), 1.0, 1.0, 20001, 20002)


def test_records_survive_a_restart(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.put_group(GroupRecord("rg", {"location": "westeurope", "tags": {"team": "a"}}))
    records.put_namespace(_namespace("Shop-One", sku={"name": "Premium"}))
    again = Records(tmp_path)
    assert (again.groups, again.namespaces) == (records.groups, records.namespaces)
    found = again.namespace("RG", "shop-one")
    assert found is not None
    assert found.tier == "Premium"
    assert again.namespace("other", "shop-one") is None
    records.remove_namespace("shop-ONE")
    assert Records(tmp_path).namespaces == {}


def test_keys_are_readable_only_by_their_owner(tmp_path: Path) -> None:
    Records(tmp_path).put_group(GroupRecord("rg", {}))
    assert stat.S_IMODE((tmp_path / "azure.json").stat().st_mode) == 0o600


def test_a_namespace_without_local_authentication_has_no_keys() -> None:
    assert [each.rights for each in shared_keys(_namespace("shop-one"))] == [{"Send"}]
    assert shared_keys(_namespace("shop-one", disableLocalAuth=True)) == []


def test_the_built_in_namespace_has_its_root_key_until_azure_records_it(tmp_path: Path) -> None:
    records = Records(tmp_path)
    keys = built_in_keys(records, _ROOT)
    assert keys() == [_ROOT]
    records.put_namespace(_namespace("sandbox"))
    assert [each.name for each in keys()] == ["app"]
