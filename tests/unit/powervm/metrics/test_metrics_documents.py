"""The documents of real systems are understood, and those of no use are named."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from tests.unit.powervm.metrics.samples import capture, document

from bigiron.errors import PlatformError
from bigiron.powervm.metrics import documents
from bigiron.powervm.metrics.documents import MemorySamples

FIRST = "42AD4FD4-DC64-4935-9E29-9B7C6F35AFCC"


def test_the_hypervisors_document_of_a_real_system() -> None:
    made = documents.read(capture("phyp_pcm_data.txt"), "phyp", documents.hypervisor)
    assert made.at == datetime.fromisoformat("2015-05-27T08:17:45+00:00").timestamp()
    assert (made.hertz, made.processors, made.firmware) == (512000000, 20, 58599310268)
    assert made.timebase == pytest.approx(8.0629725893315e14)
    assert made.vioses[1].cycles.used == 334805782979 + 219847016046 - 260430293020
    assert made.vioses[1].memory_mb == 4096
    nics = [nic for one in made.lpars.values() for nic in one.nics]
    assert {nic.location for nic in nics} >= {"U8247.22L.2125D4A-V2-C2"}
    links = [link for one in made.lpars.values() for link in one.disks]
    assert (1, 1000) in {(link.vios, link.slot) for link in links}


def test_wwpns_are_those_that_a_vios_names() -> None:
    """They come as numbers, with `wwpnpair` and `wwpnPair` for the name of the pair."""
    made = documents.hypervisor(document("phyp_pcm_data.txt"))
    wwpns = {wwpn for one in made.lpars.values() for channel in one.channels for wwpn in channel.wwpns}
    assert f"{13857705835384867082:x}" in wwpns
    assert all(len(wwpn) == 16 for wwpn in wwpns)


def test_a_partition_that_is_off_does_not_run() -> None:
    made = documents.hypervisor(document("phyp_pcm_data.txt"))
    off = [one for one in made.lpars.values() if one.cycles.entitled == 0]
    assert off and not any(one.running for one in off)


def test_the_document_of_a_real_vios() -> None:
    made = documents.read(capture("vios_pcm_data.txt"), "vios_1", documents.vios)
    assert made.name == "IOServer - SN2125D4A"
    first = made.scsi[1000]
    assert (first.name, first.read_bytes, first.read_requests) == ("vhost0", 549888, 1074)
    assert (first.write_bytes, first.write_requests) == (550400, 1075)
    assert (made.scsi[7].name, made.scsi[7].write_bytes) == ("vhost5", 512)
    port = made.fibre["21000024ff649159"]
    assert (port.name, port.write_bytes, port.write_requests) == ("vfc1", 138523, 1235)


def test_a_vios_without_virtual_devices() -> None:
    made = documents.vios(document("vios_pcm_data_sparse.txt"))
    assert (made.scsi, made.fibre) == ({}, {})


def test_the_partitions_own_document() -> None:
    made = documents.read(capture("lpar_pcm_data.txt"), "lpar", documents.memory)
    first = made.partitions[FIRST]
    assert (first.total_mb, first.available_percent) == (1.0, 80)
    assert first.at == datetime.fromisoformat("2016-03-28T03:10:00-04:00").timestamp()


def test_partitions_that_do_not_answer_are_left_out() -> None:
    silent = {"uuid": "a", "id": "3", "name": "x", "errorInfo": {"errorId": "6003"}, "timeStamp": None}
    assert documents.memory({"lparUtil": [silent]}) == MemorySamples({})


def test_a_figure_that_the_system_does_not_know_is_none() -> None:
    text = capture("lpar_pcm_data.txt").replace('"vmPgSpInRate": 0', '"vmPgSpInRate": -1')
    assert "-1" in text
    assert documents.memory(json.loads(text)).partitions[FIRST].pages_in is None


def test_logical_ports_are_found_by_the_partition_that_they_serve() -> None:
    found = document("phyp_pcm_data.txt")
    (vios,) = found["systemUtil"]["utilSample"]["viosUtil"][:1]
    vios["network"]["sriovLogicalPorts"] = [
        {
            "drcIndex": "654327810", "physicalLocation": "U78CA.001.CSS0CXA-P1-C2-C1-T1-S2", "physicalPortId": 0,
            "clientPartitionUUID": FIRST.lower(), "receivedBytes": 5, "receivedPackets": 4, "sentBytes": 3,
            "sentPackets": 2, "droppedReceivedPackets": 1, "droppedSentPackets": 6, "errorIn": 7, "errorOut": 8,
        }
    ]  # fmt: skip
    (port,) = documents.hypervisor(found).ports[FIRST].values()
    assert (port.in_bytes, port.in_packets, port.in_drops, port.in_errors) == (5, 4, 1, 7)
    assert (port.out_bytes, port.out_packets, port.out_drops, port.out_errors) == (3, 2, 6, 8)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "JSONDecodeError"),
        ("Service temporarily unavailable", "JSONDecodeError"),
        (capture("phyp_pcm_data.txt")[:4000], "JSONDecodeError"),
        ("{}", "KeyError"),
        ("[]", "TypeError"),
        ('{"systemUtil": {"utilSample": null}}', "TypeError"),
    ],
)
def test_a_document_of_no_use_is_named(text: str, kind: str) -> None:
    with pytest.raises(PlatformError, match=f"LTM_phyp.json cannot be read: {kind}"):
        documents.read(text, "LTM_phyp.json", documents.hypervisor)


def test_a_partition_that_makes_no_sense_does_not_cost_the_others_theirs() -> None:
    found = document("phyp_pcm_data.txt")
    whole = documents.hypervisor(found)
    rows = found["systemUtil"]["utilSample"]["lparsUtil"]
    bad = next(row for row in rows if row["uuid"].upper() == FIRST)
    bad["processor"]["entitledProcCycles"] = "many"
    del found["systemUtil"]["utilSample"]["viosUtil"][0]["id"]
    made = documents.hypervisor(found)
    assert set(whole.lpars) - set(made.lpars) == {FIRST} and len(whole.vioses) - len(made.vioses) == 1
    partition, vios = made.unreadable
    assert partition.startswith(f"partition {bad['name']} (ValueError ") and vios.endswith("(KeyError 'id')")


def test_an_adapter_of_a_vios_that_makes_no_sense_does_not_cost_the_others_theirs() -> None:
    found = document("vios_pcm_data.txt")
    whole = documents.vios(found)
    storage = found["systemUtil"]["utilSample"]["viosUtil"][0]["storage"]
    del storage["genericVirtualAdapters"][0]["physicalLocation"]
    made = documents.vios(found)
    assert len(whole.scsi) - len(made.scsi) == 1 and made.fibre == whole.fibre != {}
    assert len(made.unreadable) == 1 and "'physicalLocation'" in made.unreadable[0]


def test_memory_that_makes_no_sense_does_not_cost_the_others_theirs() -> None:
    good = json.loads(capture("lpar_pcm_data.txt"))["lparUtil"][0]
    bad = {**good, "uuid": "b", "name": "broken", "memory": {}, "timeStamp": "noon"}
    bad["memory"] = {**good["memory"], "realMemSizeBytes": None}
    made = documents.memory({"lparUtil": [bad, good]})
    assert set(made.partitions) == {good["uuid"].upper()}
    assert made.unreadable[0].startswith("partition broken (ValueError ")
