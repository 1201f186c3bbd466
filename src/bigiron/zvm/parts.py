"""The parts of a started platform, put together once."""

from __future__ import annotations

from bigiron.imagecache import ImageCache
from bigiron.journal import Journal
from bigiron.zvm import capture
from bigiron.zvm.api import Api
from bigiron.zvm.capture import Captures
from bigiron.zvm.guests import Guests
from bigiron.zvm.images import Images
from bigiron.zvm.inventory import Host
from bigiron.zvm.ledger import Ledger
from bigiron.zvm.metrics.guests import KnownGuests
from bigiron.zvm.metrics.usage import GuestUsages
from bigiron.zvm.nics import Nics
from bigiron.zvm.options import ZvmOptions
from bigiron.zvm.portline import AGENT, COMPUTE, Heard, PortLine
from bigiron.zvm.power import Power
from bigiron.zvm.rest import Connector
from bigiron.zvm.transfer import delete_image, transfer
from bigiron.zvm.watch import Watch


class Parts:
    """What works on one connector."""

    def __init__(self, options: ZvmOptions, journal: Journal | None = None) -> None:
        self.options = options
        self.connector = Connector(options, journal)
        self.api = Api(self.connector)
        self.ledger = Ledger(options.state_path)
        self.guests = Guests(self.api, self.ledger)
        self.host = Host(self.api)
        self.transfer = transfer(self.api)
        self.images = Images(self.api, self.transfer, ImageCache(options.state_path))
        self.power = Power(self.api, self.ledger)
        self.port_line = PortLine(options.port_line, COMPUTE, AGENT)
        self.nics = Nics(self.api, self.power, self.port_line.tell)
        self.captures = Captures(self.api, self.transfer, self.ledger, self.power)
        self.usages = GuestUsages(self.api, KnownGuests(self.guests))
        self.watch = Watch(options.power_poll_s, self.guests, self.power, self.host.ping)

    def start(self, wired: Heard) -> None:
        """Connect, check the options against the connector, and read what is there.

        `wired` is called with the ports that the network agent says are coupled.
        """
        self.port_line.start(wired)
        self.host.version_text = self.api.read_version()
        self.host.read()
        self.transfer.start()
        self.guests.load()
        self.guests.late.start()
        self._clear_snapshots()
        if self.guests.all():
            self.nics.read()
        self.watch.first_look()
        self.watch.start()

    def _clear_snapshots(self) -> None:
        """Remove from the connector what an earlier process was ended in the middle of."""
        userids = {entry.userid for entry in self.ledger.entries()}
        if not userids:
            return
        for record in self.api.images():
            if capture.left_of(str(record["imagename"]), userids):
                delete_image(self.api, str(record["imagename"]))

    def close(self) -> None:
        """Stop the threads and close the connections; safe to call twice."""
        self.port_line.close()
        self.guests.stop()
        self.watch.stop()
        self.connector.close()
