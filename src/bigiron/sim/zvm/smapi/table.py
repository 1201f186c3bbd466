"""Every SMAPI function that is answered, with what it costs and who does it."""

from __future__ import annotations

from dataclasses import dataclass

from bigiron.sim.zvm.smapi import activation, adapters, devices, directory, disks, host, performance, vswitches
from bigiron.sim.zvm.smapi.protocol import Handler

QUERY, DIRECTORY, CHANGE = "query", "directory", "change"
"""Kinds of latency; see bigiron.sim.zvm.latency."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of SMAPI."""

    handler: Handler
    cost: str

    @property
    def serial_key(self) -> str:
        """Whose turn a call waits for: DIRMAINT changes one entry at a time."""
        return "dirmaint" if self.cost == DIRECTORY else ""


FUNCTIONS = {
    "Image_Activate": Function(activation.activate, "activate"),
    "Image_Deactivate": Function(activation.deactivate, "deactivate"),
    "Image_Pause": Function(activation.pause, CHANGE),
    "Image_Console_Get": Function(activation.console, QUERY),
    "Image_Create_DM": Function(directory.create, DIRECTORY),
    "Image_Replace_DM": Function(directory.replace_entry, DIRECTORY),
    "Image_Delete_DM": Function(directory.delete, DIRECTORY),
    "Image_Lock_DM": Function(directory.lock, DIRECTORY),
    "Image_Unlock_DM": Function(directory.unlock, DIRECTORY),
    "Image_Query_DM": Function(directory.query, QUERY),
    "Image_Name_Query_DM": Function(directory.names, QUERY),
    "Image_Definition_Update_DM": Function(directory.update_definition, DIRECTORY),
    "Image_Definition_Create_DM": Function(directory.update_definition, DIRECTORY),
    "Image_Definition_Delete_DM": Function(directory.delete_definition, DIRECTORY),
    "Image_IPL_Set_DM": Function(directory.set_ipl, DIRECTORY),
    "Image_IPL_Delete_DM": Function(directory.delete_ipl, DIRECTORY),
    "Image_SCSI_Characteristics_Define_DM": Function(directory.define_loaddev, DIRECTORY),
    "Image_Disk_Create_DM": Function(disks.create_dm, DIRECTORY),
    "Image_Disk_Delete_DM": Function(disks.delete_dm, DIRECTORY),
    "Image_Disk_Create": Function(disks.create, CHANGE),
    "Image_Disk_Delete": Function(disks.delete, CHANGE),
    "Image_Disk_Query": Function(disks.query, QUERY),
    "Image_Volume_Space_Query_DM": Function(disks.space, QUERY),
    "Image_Device_Dedicate_DM": Function(devices.dedicate_dm, DIRECTORY),
    "Image_Device_Undedicate_DM": Function(devices.undedicate_dm, DIRECTORY),
    "Image_Device_Dedicate": Function(devices.dedicate, CHANGE),
    "Image_Device_Undedicate": Function(devices.undedicate, CHANGE),
    "Image_Performance_Query": Function(performance.listed, QUERY),
    "System_Image_Performance_Query": Function(performance.named, QUERY),
    "System_Information_Query": Function(host.information, QUERY),
    "System_Performance_Information_Query": Function(host.performance, QUERY),
    "System_Processor_Query": Function(host.processors, QUERY),
    "System_RDR_File_Manage": Function(host.purge_reader, CHANGE),
    "System_WWPN_Query": Function(devices.query_wwpns, QUERY),
    "SSI_Query": Function(host.cluster, QUERY),
    "Name_List_Add": Function(host.add_name, CHANGE),
    "Name_List_Remove": Function(host.remove_name, CHANGE),
    "Name_List_Query": Function(host.query_names, QUERY),
    "Name_List_Destroy": Function(host.destroy_names, CHANGE),
    "Virtual_Network_Adapter_Create_Extended_DM": Function(adapters.create_dm, DIRECTORY),
    "Virtual_Network_Adapter_Delete_DM": Function(adapters.delete_dm, DIRECTORY),
    "Virtual_Network_Adapter_Connect_Vswitch_DM": Function(adapters.connect_dm, DIRECTORY),
    "Virtual_Network_Adapter_Disconnect_DM": Function(adapters.disconnect_dm, DIRECTORY),
    "Virtual_Network_Adapter_Create_Extended": Function(adapters.create, CHANGE),
    "Virtual_Network_Adapter_Delete": Function(adapters.delete, CHANGE),
    "Virtual_Network_Adapter_Connect_Vswitch": Function(adapters.connect, CHANGE),
    "Virtual_Network_Adapter_Disconnect": Function(adapters.disconnect, CHANGE),
    "Virtual_Network_Adapter_Query_Extended": Function(adapters.query, QUERY),
    "Virtual_Network_OSA_Query": Function(devices.query_osas, QUERY),
    "Virtual_Network_Vswitch_Query": Function(vswitches.query, QUERY),
    "Virtual_Network_Vswitch_Query_Extended": Function(vswitches.query_extended, QUERY),
    "Virtual_Network_Vswitch_Query_Byte_Stats": Function(vswitches.byte_stats, QUERY),
    "Virtual_Network_Vswitch_Create_Extended": Function(vswitches.create, CHANGE),
    "Virtual_Network_Vswitch_Delete_Extended": Function(vswitches.delete, CHANGE),
    "Virtual_Network_Vswitch_Set_Extended": Function(vswitches.change, CHANGE),
    "VMRELOCATE": Function(devices.relocate, CHANGE),
}
