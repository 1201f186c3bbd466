"""pypowervm's own tasks, unmodified, against the simulator over HTTP: each ends with the world that it should make."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pypowervm import adapter as pvm_adapter
from pypowervm import exceptions as pvm_exc
from pypowervm.tasks import (
    cluster_ssp,
    cna,
    management_console,
    memory,
    network_bridger,
    partition,
    power,
    power_opts,
    scsi_mapper,
    storage,
    vfc_mapper,
    vopt,
    vterm,
)
from pypowervm.utils import lpar_builder, transaction, uuid
from pypowervm.wrappers import base_partition, cluster, job, logical_partition, managed_system, network
from pypowervm.wrappers import storage as pvm_storage
from pypowervm.wrappers import virtual_io_server as pvm_vios

from bigiron.sim.powervm.audit import audit
from bigiron.sim.powervm.model.partition import OFF, RUNNING

GB = 2**30
_numbers = itertools.count(1)


@pytest.fixture
def system(adapter: pvm_adapter.Adapter) -> managed_system.System:
    return managed_system.System.get(adapter)[0]


@pytest.fixture
def make_lpar(adapter: pvm_adapter.Adapter, system: managed_system.System) -> Callable[..., logical_partition.LPAR]:
    def make(**attributes: object) -> logical_partition.LPAR:
        values = {
            "name": f"guest{next(_numbers)}", "memory": 2048, "vcpu": 1, "proc_units": 0.2,
            "uuid": uuid.convert_uuid_to_pvm(f"{next(_numbers):08x}-1234-4000-8000-1234567890ab"), **attributes,
        }  # fmt: skip
        return (
            lpar_builder.LPARBuilder(adapter, values, lpar_builder.DefaultStandardize(system))
            .build()
            .create(parent=system)
        )

    return make


def vios_named(adapter: pvm_adapter.Adapter, name: str, *groups: str) -> pvm_vios.VIOS:
    return pvm_vios.VIOS.search(adapter, name=name, one_result=True).refresh() if not groups else next(
        v for v in pvm_vios.VIOS.get(adapter, xag=list(groups)) if v.name == name
    )  # fmt: skip


def volume_group(adapter: pvm_adapter.Adapter, vios: pvm_vios.VIOS, name: str) -> pvm_storage.VG:
    return next(g for g in pvm_storage.VG.get(adapter, parent=vios) if g.name == name)


def default_tier(adapter: pvm_adapter.Adapter) -> pvm_storage.Tier:
    found = cluster.Cluster.search(adapter, name="cluster1", one_result=True)
    return storage.default_tier_for_ssp(pvm_storage.SSP.get_by_href(adapter, found.ssp_uri))


class TestPartitions:
    def test_the_builder_makes_partitions_that_read_back_as_asked(self, adapter, make_lpar):
        made = make_lpar(name="db1", memory=4096, max_mem=8192, vcpu=2, max_vcpu=4, proc_units=0.5, max_proc_units=2)
        read = logical_partition.LPAR.search(adapter, name="db1", one_result=True)
        assert read.uuid == made.uuid
        assert (read.mem_config.desired, read.mem_config.max) == (4096, 8192)
        shared = read.proc_config.shared_proc_cfg
        assert (shared.desired_units, shared.desired_virtual, shared.max_units, shared.max_virtual) == (0.5, 2, 2.0, 4)
        assert read.state == base_partition.LPARState.NOT_ACTIVATED

    def test_dedicated_processors(self, make_lpar):
        made = make_lpar(dedicated_proc=True, vcpu=3)
        assert made.proc_config.has_dedicated
        assert made.proc_config.dedicated_proc_cfg.desired == 3

    def test_rename_and_resize(self, adapter, make_lpar, system):
        made = make_lpar()
        made.name = "renamed"
        made.mem_config.desired = 1024
        made.mem_config.min = 1024
        updated = made.update()
        assert (updated.name, updated.mem_config.desired) == ("renamed", 1024)

    def test_what_the_host_cannot_hold_is_refused(self, make_lpar):
        with pytest.raises(pvm_exc.HttpError, match="MB are available"):
            make_lpar(memory=1024 * 1024)
        with pytest.raises(pvm_exc.HttpError, match="processing units are needed"):
            make_lpar(vcpu=30, proc_units=30)

    def test_find_partitions(self, adapter, simulator):
        assert partition.get_mgmt_partition(adapter).name == "novalink"
        assert {v.name for v in partition.get_active_vioses(adapter)} == {"vios1", "vios2"}
        partition.validate_vios_ready(adapter, max_wait_time=1)
        assert len(partition.get_physical_wwpns(adapter)) == 4

    def test_a_vios_that_is_down_is_not_active(self, adapter, simulator):
        with simulator.world.lock:
            vios = simulator.world.vioses[1]
            vios.state, vios.rmc = OFF, "inactive"
            simulator.world.changed(vios, "PartitionState")
        assert [v.name for v in partition.get_active_vioses(adapter)] == ["vios1"]


class TestPower:
    def test_on_and_off(self, adapter, make_lpar, simulator):
        lpar = make_lpar()
        power.PowerOp.start(lpar)
        assert simulator.world.partition(lpar.uuid).state == RUNNING
        power.PowerOp.start(lpar)  # already on is no error to pypowervm
        power.PowerOp.stop(lpar.refresh(), opts=power_opts.PowerOffOpts().vsp_hard())
        assert simulator.world.partition(lpar.uuid).state == OFF
        power.PowerOp.stop(lpar.refresh(), opts=power_opts.PowerOffOpts().vsp_hard())

    def test_progressive_off_without_rmc_falls_back(self, make_lpar, simulator):
        lpar = make_lpar()
        power.PowerOp.start(lpar)
        power.power_off_progressive(lpar.refresh())
        assert simulator.world.partition(lpar.uuid).state == OFF

    def test_restart(self, make_lpar, simulator):
        lpar = make_lpar()
        power.PowerOp.start(lpar)
        power.PowerOp.stop(lpar.refresh(), opts=power_opts.PowerOffOpts().vsp_hard().restart())
        assert simulator.world.partition(lpar.uuid).state == RUNNING

    def test_a_running_partition_cannot_be_deleted(self, make_lpar):
        lpar = make_lpar()
        power.PowerOp.start(lpar)
        with pytest.raises(pvm_exc.HttpError, match="HSCL1552"):
            lpar.refresh().delete()


class TestAdapters:
    def test_create_and_remove(self, adapter, system, make_lpar, simulator):
        lpar = make_lpar()
        made = cna.crt_cna(adapter, system.uuid, lpar.uuid, 100, vswitch="ETHERNET0", mac_addr="fa:16:3e:11:22:33")
        assert (made.mac, made.pvid) == ("FA163E112233", 100)
        vlans = {n.vlan for n in network.VNet.get(adapter, parent=system)}
        assert 100 in vlans
        made.delete()
        assert 100 not in {n.vlan for n in network.VNet.get(adapter, parent=system)}

    def test_generated_addresses_differ(self, adapter, system, make_lpar):
        lpar = make_lpar()
        macs = {cna.crt_cna(adapter, system.uuid, lpar.uuid, 200 + n).mac for n in range(3)}
        assert len(macs) == 3

    def test_point_to_point(self, adapter, system, make_lpar, simulator):
        lpar = make_lpar()
        owner = partition.get_mgmt_partition(adapter)
        client, trunks = cna.crt_p2p_cna(
            adapter, system.uuid, lpar.uuid, [owner.uuid], "NovaLinkVEABridge", crt_vswitch=True, dev_name="tap1",
            ovs_bridge="br-int",
        )  # fmt: skip
        assert len(trunks) == 1
        assert trunks[0].pvid == client.pvid
        assert [t.dev_name for t in cna.find_trunks(adapter, client)] == ["tap1"]
        client.delete()
        assert [t.dev_name for t in cna.find_orphaned_trunks(adapter, "NovaLinkVEABridge")] == ["tap1"]


class TestBridges:
    def vlans(self, adapter, system) -> set[int]:
        bridge = network.NetBridge.get(adapter, parent=system)[0]
        return {v for sea in bridge.seas for t in sea.addl_adpts for v in t.tagged_vlans}

    def test_vlans_come_and_go(self, adapter, system, simulator):
        bridge = network.NetBridge.get(adapter, parent=system)[0]
        network_bridger.ensure_vlans_on_nb(adapter, system.uuid, bridge.uuid, list(range(100, 125)))
        assert self.vlans(adapter, system) == set(range(100, 125))
        seas = simulator.world.state.bridges[0].seas
        assert [len(s.trunks) for s in seas] == [3, 3]  # 25 VLANs need two trunks beside the primary one
        assert {t.trunk_priority for t in seas[0].trunks} == {1}
        assert {t.trunk_priority for t in seas[1].trunks} == {2}
        for vlan in range(100, 125):
            network_bridger.remove_vlan_from_nb(adapter, system.uuid, bridge.uuid, vlan)
        assert self.vlans(adapter, system) == set()
        assert audit(simulator.world) == []

    def test_an_hmc_bridges_by_virtual_networks(self, hmc, connect):
        adapter = connect(hmc)
        system = managed_system.System.get(adapter)[0]
        bridge = network.NetBridge.get(adapter, parent=system)[0]
        network_bridger.ensure_vlans_on_nb(adapter, system.uuid, bridge.uuid, [300, 301])
        groups = network.NetBridge.get(adapter, parent=system)[0].load_grps
        assert [sorted(g.tagged_vlans) for g in groups[1:]] == [[300, 301]]
        network_bridger.remove_vlan_from_nb(adapter, system.uuid, bridge.uuid, 300)
        network_bridger.remove_vlan_from_nb(adapter, system.uuid, bridge.uuid, 301)
        assert len(network.NetBridge.get(adapter, parent=system)[0].load_grps) == 1


def held_files(simulator):
    """The contents on disk that something still uses; the others go when the state is saved."""
    with simulator.world.lock:
        return {path.name for path in simulator.world.media_dir.iterdir()} - simulator.world.released()


class TestSharedPool:
    def test_image_upload_clone_and_removal(self, adapter, simulator):
        tier = default_tier(adapter)
        content = os.urandom(3 * 2**20)
        vios = vios_named(adapter, "vios1")
        image = cluster_ssp.get_or_upload_image_lu(
            tier, "image_test", vios.uuid, lambda: io.BytesIO(content), len(content)
        )  # fmt: skip
        again = cluster_ssp.get_or_upload_image_lu(tier, "image_test", vios.uuid, None, len(content))
        assert image.udid == again.udid
        stored = next(u for u in simulator.world.state.pools[0].units if u.udid == image.udid)
        assert (simulator.world.media_dir / stored.content.file).read_bytes() == content
        _, clone = storage.crt_lu(tier, "boot_1", 10, clone=image)
        assert clone.cloned_from_udid[2:] == image.udid[2:]
        storage.rm_tier_storage([clone], tier=tier)
        assert simulator.world.state.pools[0].units == []  # the last clone takes its image with it
        assert held_files(simulator) == set()

    def test_a_unit_grows_by_a_job_of_its_cluster(self, adapter, simulator):
        tier = default_tier(adapter)
        _, unit = storage.crt_lu(tier, "boot_1", 2)
        found = cluster.Cluster.search(adapter, name="cluster1", one_result=True)

        def grow(udid: str, capacity: str) -> job.Job:
            asked = job.Job.wrap(
                adapter.read("Cluster", root_id=found.uuid, suffix_type="do", suffix_parm="GrowLogicalUnit")
            )
            parameters = (("LogicalUnitUDID", udid), ("Capacity", capacity))
            asked.run_job(found.uuid, [job.Job.create_job_parameter(*each) for each in parameters])
            return asked

        assert grow(unit.udid, "5").get_job_results_as_dict() == {"LogicalUnitUDID": unit.udid, "Capacity": "5"}
        (grown,) = pvm_storage.LUEnt.get(adapter, parent=tier)
        assert (grown.udid, grown.capacity) == (unit.udid, 5)
        for udid, capacity, message in (
            (unit.udid, "5", "only grow"),
            (unit.udid, "much", "no size in GB"),
            ("27" + "0" * 64, "9", "no logical unit"),
        ):
            with pytest.raises(pvm_exc.JobRequestFailed, match=message):
                grow(udid, capacity)

    def test_units_through_the_pool_document(self, adapter, simulator):
        found = cluster.Cluster.search(adapter, name="cluster1", one_result=True)
        ssp = pvm_storage.SSP.get_by_href(adapter, found.ssp_uri)
        ssp, unit = storage.crt_lu(ssp, "old_way", 3)
        assert [u.name for u in simulator.world.state.pools[0].units] == ["old_way"]
        storage.rm_ssp_storage(ssp, [unit])
        assert simulator.world.state.pools[0].units == []

    def test_an_image_that_does_not_fit_is_refused_before_its_bytes_come(self, adapter):
        vios = vios_named(adapter, "vios1")
        _, unit = storage.crt_lu(default_tier(adapter), "small", 1)
        with pytest.raises(pvm_exc.HttpError, match="does not fit on small"):
            storage.upload_lu(vios.uuid, unit, lambda: pytest.fail("no byte is wanted"), 5 * GB)

    def test_a_mapped_unit_cannot_be_deleted(self, adapter, system, make_lpar, simulator):
        lpar = make_lpar()
        _, unit = storage.crt_lu(default_tier(adapter), "boot_2", 10)
        scsi_mapper.add_vscsi_mapping(system.uuid, vios_named(adapter, "vios1").uuid, lpar.uuid, unit)
        with pytest.raises(pvm_exc.HttpError, match="is in use"):
            unit.refresh().delete()


class TestLocalDisks:
    def test_disk_upload_copy_and_removal(self, adapter, simulator):
        vios = vios_named(adapter, "vios1")
        group = volume_group(adapter, vios, "datavg")
        content = os.urandom(2**20)
        disk, leftover = storage.upload_new_vdisk(
            adapter, vios.uuid, group.uuid, io.BytesIO(content), "img1", len(content)
        )
        assert leftover is None
        copy = storage.crt_copy_vdisk(adapter, vios.uuid, group.uuid, disk.udid, GB, "boot1", d_size=5 * GB)
        group = group.refresh()
        assert {d.name: d.capacity for d in group.virtual_disks} == {"img1": 1, "boot1": 5}
        assert group.available_size == group.capacity - 6
        storage.rm_vg_storage(group, vdisks=[disk, copy])
        assert volume_group(adapter, vios, "datavg").virtual_disks == []
        assert held_files(simulator) == set()

    def test_a_disk_that_does_not_fit_is_refused(self, adapter):
        vios = vios_named(adapter, "vios1")
        group = volume_group(adapter, vios, "datavg")
        with pytest.raises(pvm_exc.HttpError, match="GB would be needed"):
            storage.crt_vdisk(adapter, vios.uuid, group.uuid, "big", 501)

    def test_media_repository_and_upload(self, adapter, simulator, tmp_path: Path):
        owner, group_uuid = vopt.validate_vopt_repo_exists(adapter, "rootvg", 1)
        content = os.urandom(300_000)
        media, _ = storage.upload_vopt(adapter, owner, io.BytesIO(content), "cfg_1.iso", len(content))
        assert media.name == "cfg_1.iso"
        world = simulator.world
        stored = world.vios(owner).repository_group.repository.media[0]
        assert (world.media_dir / stored.content.file).read_bytes() == content
        assert [f["kind"] for f in audit(world)] == ["unmapped-media"]
        group = pvm_storage.VG.get(adapter, uuid=group_uuid, parent_type=pvm_vios.VIOS, parent_uuid=owner)
        storage.rm_vg_storage(group, vopts=list(group.vmedia_repos[0].optical_media))
        assert audit(world) == []


class TestMappings:
    def test_units_share_an_adapter_and_go_with_the_last(self, adapter, system, make_lpar, simulator):
        lpar = make_lpar()
        vios_uuid = vios_named(adapter, "vios1").uuid
        tier = default_tier(adapter)
        units = [storage.crt_lu(tier, f"data_{n}", 1)[1] for n in range(3)]
        for unit in units:
            scsi_mapper.add_vscsi_mapping(system.uuid, vios_uuid, lpar.uuid, unit)
        servers = simulator.world.vios(vios_uuid).servers
        assert [len(s.targets) for s in servers] == [3]
        assert [t.lua for t in servers[0].targets] == [f"0x8{n}00000000000000" for n in (1, 2, 3)]
        vios = vios_named(adapter, "vios1", "ViosSCSIMapping")
        assert [m.backing_storage.name for m in vios.scsi_mappings] == ["data_0", "data_1", "data_2"]
        _, removed = scsi_mapper.remove_lu_mapping(adapter, vios_uuid, lpar.id)
        assert len(removed) == 3
        assert simulator.world.vios(vios_uuid).servers == []

    def test_unknown_storage_is_refused_by_name(self, adapter, system, make_lpar):
        ghost = pvm_storage.LU.bld_ref(adapter, "ghost", "27" + "0" * 64)
        with pytest.raises(pvm_exc.HttpError, match="has no LogicalUnit 'ghost'"):
            scsi_mapper.add_vscsi_mapping(
                system.uuid, vios_named(adapter, "vios1").uuid, make_lpar().uuid, ghost
            )  # fmt: skip

    def test_optical_media_is_changed_in_its_drive(self, adapter, system, make_lpar, simulator):
        lpar = make_lpar()
        owner, _ = vopt.validate_vopt_repo_exists(adapter)
        media = [storage.upload_vopt(adapter, owner, io.BytesIO(b"x" * 70000), f"m{n}", 70000)[0] for n in range(2)]
        scsi_mapper.add_vscsi_mapping(system.uuid, owner, lpar.uuid, media[0])
        scsi_mapper.modify_vopt_mapping(adapter, owner, lpar.id, media[1])
        targets = [t for s in simulator.world.vios(owner).servers for t in s.targets]
        assert [(t.name, t.key) for t in targets] == [("vtopt0", "0em1")]

    def test_a_deleted_partition_leaves_what_scrubbing_removes(self, adapter, system, make_lpar, simulator):
        lpar = make_lpar()
        vios_uuid = vios_named(adapter, "vios1").uuid
        _, unit = storage.crt_lu(default_tier(adapter), "boot_3", 1)
        scsi_mapper.add_vscsi_mapping(system.uuid, vios_uuid, lpar.uuid, unit)
        lpar.refresh().delete()
        assert {f["kind"] for f in audit(simulator.world)} == {"orphan-server-adapter"}
        mapping = vios_named(adapter, "vios1", "ViosSCSIMapping").scsi_mappings[0]
        assert mapping.client_adapter is None
        assert mapping.server_adapter.lpar_id == lpar.id
        storage.ComprehensiveScrub(adapter).execute()
        assert {f["kind"] for f in audit(simulator.world)} == {"unmapped-logical-unit"}  # the task leaves units alone

    def test_etags_guard_the_document(self, adapter, system, make_lpar):
        lpar = make_lpar()
        stale = vios_named(adapter, "vios1", "ViosSCSIMapping")
        _, unit = storage.crt_lu(default_tier(adapter), "boot_4", 1)
        scsi_mapper.add_vscsi_mapping(system.uuid, stale.uuid, lpar.uuid, unit)
        mapping = scsi_mapper.build_vscsi_mapping(system.uuid, stale, lpar.uuid, unit)
        scsi_mapper.add_map(stale, mapping)
        with pytest.raises(pvm_exc.HttpError) as caught:
            stale.update()
        assert caught.value.response.status == 412

    def test_a_vios_that_is_down_takes_no_mapping(self, adapter, system, make_lpar, simulator):
        lpar = make_lpar()
        _, unit = storage.crt_lu(default_tier(adapter), "boot_5", 1)
        vios = vios_named(adapter, "vios2", "ViosSCSIMapping")
        with simulator.world.lock:
            simulator.world.vios(vios.uuid).rmc = "inactive"
        mapping = scsi_mapper.build_vscsi_mapping(system.uuid, vios, lpar.uuid, unit)
        scsi_mapper.add_map(vios, mapping)
        with pytest.raises(pvm_exc.HttpError, match="cannot be reached"):
            vios.update()

    def test_only_the_groups_named_are_changed(self, adapter, system, make_lpar, simulator):
        lpar = make_lpar()
        _, unit = storage.crt_lu(default_tier(adapter), "boot_6", 1)
        scsi_mapper.add_vscsi_mapping(system.uuid, vios_named(adapter, "vios1").uuid, lpar.uuid, unit)
        vios_named(adapter, "vios1", "ViosFCMapping").update()
        assert len(simulator.world.vioses[0].servers) == 1

    def test_a_feed_task_changes_both_vioses(self, adapter, system, make_lpar, simulator):
        lpar = make_lpar()
        _, unit = storage.crt_lu(default_tier(adapter), "boot_7", 1)
        task = partition.build_active_vio_feed_task(adapter, xag=["ViosSCSIMapping"])

        def add(vios: pvm_vios.VIOS) -> object:
            return scsi_mapper.add_map(vios, scsi_mapper.build_vscsi_mapping(system.uuid, vios, lpar.uuid, unit))

        task.add_functor_subtask(add)
        task.execute()
        assert [len(v.servers) for v in simulator.world.vioses] == [1, 1]


class TestFibreChannel:
    def test_pairs_are_generated_and_mapped(self, adapter, system, make_lpar, simulator):
        lpar = make_lpar()
        assert len(vfc_mapper.build_wwpn_pair(adapter, system.uuid, pair_count=2)) == 4
        vioses = pvm_vios.VIOS.get(adapter, xag=["ViosFCMapping", "ViosStorage"])
        ports = [p.wwpn for p in vioses[0].pfc_ports]
        port_map = vfc_mapper.derive_base_npiv_map(vioses, ports, 1)[0]
        vfc_mapper.add_map(vioses[0], system.uuid, lpar.uuid, port_map)
        vioses[0].update()
        mapping = simulator.world.vioses[0].fibre[0]
        assert mapping.client == lpar.uuid
        assert len(set(mapping.wwpns)) == 2


class TestOthers:
    def test_memory_overhead(self, adapter, system):
        overhead, available = memory.calculate_memory_overhead_on_host(
            adapter, system.uuid, {"max_mem": 8192, "desired_mem": 4096}
        )
        assert overhead > 0
        assert available > 200_000

    def test_authorized_keys(self, adapter):
        assert management_console.get_public_key(adapter).startswith("ssh-rsa ")
        management_console.add_authorized_key(adapter, "ssh-rsa AAAA test")
        assert management_console.get_authorized_keys(adapter) == ("ssh-rsa AAAA test",)

    def test_an_hmc_closes_virtual_terminals_by_a_job(self, hmc, connect):
        adapter = connect(hmc)
        vterm.close_vterm(adapter, logical_partition.LPAR.get(adapter)[0].uuid)

    def test_transactions_retry_on_changed_etags(self, adapter, system, make_lpar, simulator):
        lpar = make_lpar()
        stale = logical_partition.LPAR.get(adapter, uuid=lpar.uuid)
        lpar.name = "first"
        lpar.update()

        @transaction.entry_transaction
        def rename(found: logical_partition.LPAR) -> logical_partition.LPAR:
            found.avail_priority = 99
            return found.update()

        assert rename(stale).name == "first"
        assert simulator.world.partition(lpar.uuid).availability_priority == 99
