"""The wire rules of objects, seen by pypowervm and by bare HTTP requests."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests
from lxml import etree
from pypowervm import exceptions
from pypowervm.wrappers import logical_partition
from tests.unit.sim.powervm.tiny_world import SYSTEM_UUID, TinySimulator

from bigiron.sim.powervm.rest import address

ATOM = "{http://www.w3.org/2005/Atom}"
UOM = "{http://www.ibm.com/xmlns/systems/power/firmware/uom/mc/2012_10/}"
ROOT = "/rest/api/uom/LogicalPartition"


LPAR = logical_partition.LPAR


def test_a_feed_has_the_shape_of_captured_ones(sim: TinySimulator, http: requests.Session) -> None:
    thing = sim.add("web")
    answer = http.get(f"{sim.url}{ROOT}?group=None", timeout=10)
    assert answer.headers["Content-Type"] == "application/atom+xml; charset=UTF-8"
    assert answer.headers["X-MC-Type"] == "PVM"
    assert "<?xml" not in answer.text
    feed = etree.fromstring(answer.text)
    assert [etree.QName(child).localname for child in feed] == ["id", "updated", "link", "generator", "entry"]
    entry = feed.find(f"{ATOM}entry")
    names = [etree.QName(child).localname for child in entry]
    assert names == ["id", "title", "published", "link", "author", "etag", "content"]
    assert entry.findtext(f"{ATOM}id") == thing.uuid
    assert entry.find(f"{ATOM}link").get("rel") == "SELF"
    assert entry.find(f"{ATOM}link").get("href") == f"{sim.url}{ROOT}/{thing.uuid}?group=None"
    assert entry.find(f"{ATOM}content").get("type") == "application/vnd.ibm.powervm.uom+xml; type=LogicalPartition"
    element = entry.find(f"{ATOM}content")[0]
    assert element.prefix == "LogicalPartition" and element.tag == f"{UOM}LogicalPartition"
    assert element.findtext(f"{UOM}Metadata/{UOM}Atom/{UOM}AtomID") == thing.uuid


def test_an_empty_feed_is_no_content(sim: TinySimulator, client: Any, http: requests.Session) -> None:
    answer = http.get(f"{sim.url}{ROOT}", timeout=10)
    assert (answer.status_code, answer.content) == (204, b"")
    assert LPAR.get(client) == []


def test_the_etag_of_an_entry_is_that_of_the_feed_and_changes_with_the_object(sim: TinySimulator, client: Any) -> None:
    thing = sim.add("web")
    [in_feed] = LPAR.get(client)
    alone = LPAR.get(client, uuid=thing.uuid)
    assert alone.etag == in_feed.etag
    assert alone.refresh() is alone
    assert sim.journal.entries()[-1].status == 304
    thing.state = "running"
    sim.world.changed("MODIFY_URI", thing)
    fresh = alone.refresh()
    assert fresh is not alone and fresh.state == "running" and fresh.etag != alone.etag


def test_groups_are_rendered_and_kept_in_the_self_link(sim: TinySimulator, client: Any, http: requests.Session) -> None:
    thing = sim.add("web")
    plain = LPAR.get(client, uuid=thing.uuid)
    advanced = LPAR.get(client, uuid=thing.uuid, xag=["Advanced"])
    everything = http.get(f"{sim.url}{ROOT}/{thing.uuid}?group=All", timeout=10)
    default = http.get(f"{sim.url}{ROOT}/{thing.uuid}", timeout=10)
    assert plain.href.endswith("?group=None") and advanced.href.endswith("?group=Advanced")
    assert "Secret" not in str(plain.toxmlstring()) and "Secret" in str(advanced.toxmlstring())
    assert "Secret" in everything.text and "Secret" not in default.text
    assert plain.etag != advanced.etag
    several = http.get(f"{sim.url}{ROOT}/{thing.uuid}?group=Advanced,NVRAM", timeout=10)
    assert f"{thing.uuid}?group=Advanced,NVRAM" in several.text
    assert http.get(f"{sim.url}{ROOT}/{thing.uuid}?group=Nonsense", timeout=10).status_code == 400


def test_create_update_and_delete_with_pypowervm(sim: TinySimulator, client: Any) -> None:
    sim.add("old")
    made = LPAR.get(client)[0]
    made.name = "new"
    made = made.update()
    assert made.name == "new" and sim.world.things[0].name == "new"
    made.set_parm_value("PartitionName", "twin")
    twin = made.create(parent_type="ManagedSystem", parent_uuid=SYSTEM_UUID)
    assert [thing.name for thing in sim.world.things] == ["new", "twin"]
    assert f"/ManagedSystem/{SYSTEM_UUID}/LogicalPartition/{twin.uuid}" in twin.href
    twin.delete()
    assert [thing.name for thing in sim.world.things] == ["new"]


def test_a_stale_etag_is_refused_without_effect(sim: TinySimulator, client: Any) -> None:
    thing = sim.add("web")
    first, second = LPAR.get(client, uuid=thing.uuid), LPAR.get(client, uuid=thing.uuid)
    first.name = "winner"
    first.update()
    second.name = "loser"
    with pytest.raises(exceptions.HttpError) as refused:
        second.update()
    assert refused.value.response.status == 412
    with pytest.raises(exceptions.HttpError) as refused:
        second.delete()
    assert refused.value.response.status == 412
    assert thing.name == "winner" and sim.world.things == [thing]


def test_delete_takes_the_etag_of_any_group_it_was_read_with(sim: TinySimulator, client: Any) -> None:
    thing = sim.add("web")
    LPAR.get(client, uuid=thing.uuid, xag=["Advanced"]).delete()
    assert sim.world.things == []


def test_search_finds_by_key_or_by_its_negation(sim: TinySimulator, client: Any, http: requests.Session) -> None:
    for name in ("a b/c", "other"):
        sim.add(name)
    assert [lpar.name for lpar in LPAR.search(client, name="a b/c")] == ["a b/c"]
    assert [lpar.name for lpar in LPAR.search(client, negate=True, name="a b/c")] == ["other"]
    assert LPAR.search(client, name="nobody") == []
    found = LPAR.search(client, name="other")[0]
    assert found.href.startswith(f"{sim.url}{ROOT}/{found.uuid}")
    assert http.get(f"{sim.url}{ROOT}/search/(Colour=='red')", timeout=10).status_code == 400
    assert http.get(f"{sim.url}{ROOT}/search/PartitionName", timeout=10).status_code == 400


def test_quick_properties_are_json(sim: TinySimulator, client: Any, http: requests.Session) -> None:
    thing = sim.add("web")
    read = client.read("LogicalPartition", root_id=thing.uuid, suffix_type="quick", suffix_parm="PartitionState")
    assert read.body == '"not activated"'
    assert http.get(f"{sim.url}{ROOT}/{thing.uuid}/quick/PartitionID", timeout=10).json() == 5
    for path in ("quick", "quick/All"):
        assert http.get(f"{sim.url}{ROOT}/{thing.uuid}/{path}", timeout=10).json()["PartitionID"] == 5
    assert [each["UUID"] for each in http.get(f"{sim.url}{ROOT}/quick/All", timeout=10).json()] == [thing.uuid]
    assert http.get(f"{sim.url}{ROOT}/{thing.uuid}/quick/Nothing", timeout=10).status_code == 404
    with pytest.raises(exceptions.HttpNotFound):
        client.read("LogicalPartition", root_id=SYSTEM_UUID, suffix_type="quick", suffix_parm="PartitionState")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{ROOT}/00000000-0000-0000-0000-000000000000", 404),
        ("GET", "/rest/api/uom/Nonsense", 404),
        ("GET", "/rest/api/uom/LogicalPartition/x/y", 404),
        ("GET", "/rest/api/uom", 404),
        ("GET", "/elsewhere", 404),
        ("GET", "/rest/api/pcm/LogicalPartition", 404),
        ("GET", f"/rest/api/uom/LogicalPartition/{SYSTEM_UUID}/ManagedSystem", 404),
        ("PUT", f"{ROOT}/00000000-0000-0000-0000-000000000000", 405),
        ("POST", ROOT, 405),
        ("DELETE", ROOT, 405),
        ("PATCH", ROOT, 405),
        ("DELETE", f"/rest/api/uom/ManagedSystem/{SYSTEM_UUID}", 405),
    ],
)
def test_refusals_carry_an_error_response(
    sim: TinySimulator, http: requests.Session, method: str, path: str, status: int
) -> None:
    body = f"<LogicalPartition xmlns='{UOM[1:-1]}'/>" if method in ("PUT", "POST") else None
    answer = http.request(method, sim.url + path, data=body, timeout=10)
    assert answer.status_code == status
    text = etree.fromstring(answer.text).find(f"{ATOM}content")[0]
    values = {etree.QName(child).localname: child.text for child in text}
    assert values["HTTPStatus"] == str(status)
    assert values["RequestURI"] == path
    assert values["Message"] and values["ReasonCode"]
    assert sim.journal.entries()[-1].status == status
    token = http.headers["X-API-Session"]
    assert token not in answer.text


@pytest.mark.parametrize(
    "body", ["", "no xml", "<VirtualIOServer/>", "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>"]
)
def test_bodies_that_are_not_what_the_address_takes_are_refused(
    sim: TinySimulator, http: requests.Session, body: str
) -> None:
    answer = http.put(f"{sim.url}{ROOT}", data=body, timeout=10)
    assert answer.status_code == 400
    assert "root:" not in answer.text
    assert sim.world.things == []


def test_an_error_of_the_world_keeps_its_status_and_text(sim: TinySimulator, client: Any) -> None:
    sim.add("web")
    made = LPAR.get(client)[0]
    with pytest.raises(exceptions.HttpError, match="The name web is taken") as refused:
        made.create(parent_type="ManagedSystem", parent_uuid=SYSTEM_UUID)
    assert refused.value.response.status == 409


def test_unchanged_objects_are_not_rendered_again(sim: TinySimulator, client: Any) -> None:
    first, _second = sim.add("one"), sim.add("two")
    LPAR.get(client)
    rendered = sim.things.rendered
    LPAR.get(client)
    LPAR.get(client, uuid=first.uuid)
    assert sim.things.rendered == rendered
    sim.world.changed("MODIFY_URI", first)
    LPAR.get(client)
    assert sim.things.rendered == rendered + 1


def test_the_journal_counts_calls_bytes_and_users(sim: TinySimulator, http: requests.Session) -> None:
    thing = sim.add("web")
    headers = {"X-Audit-Memento": "nova", "If-Match": "1"}
    http.post(f"{sim.url}{ROOT}/{thing.uuid}?group=None", data="<x/>", headers=headers, timeout=10)
    entry = sim.journal.entries()[-1]
    assert (entry.method, entry.status, entry.request_bytes, entry.query) == ("POST", 400, 4, "group=None")
    assert (entry.user, entry.memento, entry.if_match) == ("padmin", "nova", True)
    assert entry.template == f"{ROOT}/{{uuid}}" and entry.response_bytes > 500 and entry.milliseconds > 0


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{ROOT}/{SYSTEM_UUID}/do/PowerOn", f"{ROOT}/{{uuid}}/do/PowerOn"),
        ("/rest/api/uom/jobs/1376478617707", "/rest/api/uom/jobs/{id}"),
        ("/rest/api/uom/jobs/1376478617707/cancel", "/rest/api/uom/jobs/{id}/cancel"),
        (f"{ROOT}/search/(PartitionName=='a%20b')", f"{ROOT}/search/(PartitionName=='{{value}}')"),
        (f"/rest/api/web/File/contents/{SYSTEM_UUID}", "/rest/api/web/File/contents/{uuid}"),
    ],
)
def test_templates_are_the_same_for_all_requests_of_a_kind(path: str, expected: str) -> None:
    assert address.template(path) == expected


def test_self_links_of_templates_are_addresses_again() -> None:
    parsed = address.parse(f"/rest/api/uom/ManagedSystem/{SYSTEM_UUID}/LogicalPartition/{SYSTEM_UUID}/quick/All")
    assert parsed.path(parsed.last.uuid) == f"/rest/api/uom/ManagedSystem/{SYSTEM_UUID}/LogicalPartition/{SYSTEM_UUID}"
    assert (parsed.suffix, parsed.argument) == ("quick", ("All",))
    assert re.fullmatch(r"\w+", parsed.last.type)
