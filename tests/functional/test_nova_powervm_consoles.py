"""Consoles through a real Nova: what guests printed, and their screen by VNC, on a simulated management partition."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import subprocess
import types
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import asyncvnc2
import psutil
import pytest
import trustme
from nova import exception, monkey_patch
from nova.console import websocketproxy
from nova.console.securityproxy import rfb
from nova.tests.functional.api import client as api_client
from tests.functional import base, test_nova_powervm_sweeps
from tests.functional.powervm import EVENTS, PowerVMCloud
from tests.functional.sweep import Call

from bigiron.plugins.nova import conf
from bigiron.powervm.console import consoles
from bigiron.powervm.console.terminal import Pauses

BOOT_S = 100.0
LPAR = "/rest/api/uom/LogicalPartition/{uuid}"


class ProxyHandler(websocketproxy.NovaProxyRequestHandler):
    """nova-novncproxy's own code from a token to a connected socket, without the web socket in front of it."""

    def __init__(self, token: str, secured: bool) -> None:
        self._compute_rpcapi = None
        self.path = f"/?token={token}"
        self.headers = {"Host": "127.0.0.1"}
        self.server = types.SimpleNamespace(security_proxy=rfb.RFBSecurityProxy() if secured else None)
        self.target: socket.socket | None = None
        self.frames = [b"RFB 003.008\n", b"\x01"]

    def msg(self, *_arguments: Any) -> None:
        """Logs nothing."""

    vmsg = msg

    def recv_frames(self) -> tuple[list[bytes], bool]:
        """What the browser sends while the proxy negotiates on its behalf."""
        return [self.frames.pop(0)], False

    def send_frames(self, _frames: Any) -> None:
        """To the browser."""

    def do_proxy(self, target: socket.socket) -> None:
        self.target = target


def own_hub_kept() -> contextlib.AbstractContextManager[Any]:
    """A proxy forks for each viewer and then takes an eventlet hub of its own; this process must keep its hub."""
    return mock.patch("eventlet.hubs.use_hub") if monkey_patch.is_patched() else contextlib.nullcontext()


class Consoles(PowerVMCloud):
    """nova-compute runs on the management partition."""

    pauses = Pauses(retry_s=0.3, linger_s=0.3)
    protocol = {"protocol": "vnc", "type": "novnc"}

    def before_services(self) -> None:
        settings = functools.partial(consoles.ConsoleSettings, pauses=self.pauses)
        self.enterContext(mock.patch.object(consoles, "ConsoleSettings", settings))
        super().before_services()

    def after_services(self) -> None:
        conf.register(base.CONF)
        # A guest boots when the test says so: its console is recorded from the first line on.
        self.simulator.world.rmc_seconds = BOOT_S
        self.simulator.clock.set_scale(0)
        self.flags(server_proxyclient_address="127.0.0.1", group="vnc")
        self.powervm_options(management_root=str(self.simulator.management_root), vnc_port=self.port())
        super().after_services()

    def command(self, name: str, server: dict[str, Any]) -> list[str]:
        return [str(self.simulator.management_root / "usr/bin" / name), "--id", str(self.lpar_of(server)["id"])]

    def run_command(self, name: str, server: dict[str, Any]) -> int:
        """Run a command of the management partition, as somebody who is logged on there."""
        return subprocess.run(self.command(name, server), capture_output=True, timeout=60, check=False).returncode

    @contextlib.contextmanager
    def attached(self, server: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
        """Somebody on the management partition has taken the server's terminal."""
        argv = self.command("mkvterm", server)
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            yield process

    def output(self, server: dict[str, Any], length: int | None = None) -> str:
        """What Nova says that the server printed."""
        body = {"os-getConsoleOutput": {} if length is None else {"length": length}}
        return str(self.api.post_server_action(server["id"], body)["output"])

    def refused(self, server: dict[str, Any]) -> str:
        """Why Nova has no console log of the server."""
        with pytest.raises(api_client.OpenStackApiNotFoundException) as caught:
            self.output(server)
        return str(caught.value.response.json())

    def vterm(self, server: dict[str, Any]) -> Any:
        """The terminal that is open of a server's partition."""
        return self.simulator.management.vterms.find(self.lpar_of(server)["uuid"])

    def printed(self, server: dict[str, Any]) -> str:
        """All that the guest printed, whoever saw it."""
        return str(self.simulator.management.guests.console(self.lpar_of(server)["uuid"]).read().text)

    def type_text(self, server: dict[str, Any], text: str) -> None:
        self.simulator.management.guests.type_text(self.lpar_of(server)["uuid"], text)

    def recorded(self, server: dict[str, Any]) -> None:
        """Wait until the server's terminal is the recorder's."""

        def attached() -> bool:
            vterm = self.vterm(server)
            return vterm is not None and vterm.stream is not None

        self.wait_until(attached, "the console is recorded")

    def up(self, **fields: Any) -> dict[str, Any]:
        """A server whose guest is up, with its console recorded from the first line on."""
        server = self.boot(**fields)
        self.recorded(server)
        self.simulator.clock.advance(BOOT_S)
        self.wait_until(lambda: self.output(server).endswith("login: "), "the guest is up")
        return server

    def token(self, server: dict[str, Any]) -> str:
        """What a user's browser gets for the server's console."""
        body = {"remote_console": self.protocol}
        url = str(self.api.api_post(f"/servers/{server['id']}/remote-consoles", body).body["remote_console"]["url"])
        return urllib.parse.unquote(url).split("token=")[1]

    def log_file(self, server: dict[str, Any]) -> Path:
        return self.state_path() / "bigiron" / "consoles" / f"{self.lpar_of(server)['uuid']}.log"


class ConsoleLog(Consoles):
    """What guests printed."""

    def test_the_log_of_a_boot(self) -> None:
        self.flags(vif_plugging_timeout=base.SETTLE_S)
        self.neutron.status = "DOWN"
        server = self.boot(config_drive=True, expected=None)
        self.wait_until(lambda: ("PUT", EVENTS) in self.kinds(), "the adapter is announced to the network agent")
        self.recorded(server)
        self.admin_api.create_server_external_events(
            [
                {"name": "network-vif-plugged", "server_uuid": server["id"], "tag": port, "status": "completed"}
                for port in self.neutron._ports
            ]
        )
        self.settle(server, "ACTIVE")
        self.simulator.clock.advance(BOOT_S)
        self.wait_until(lambda: self.output(server).endswith("login: "), "the guest is up")
        text = self.output(server)
        assert text == self.printed(server), "all of it, from the first line on"
        assert "Linux version" in text
        assert "cloud-init" in text
        assert self.output(server, 1) == text.splitlines()[-1]
        file = self.log_file(server)
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700
        self.delete(server)
        assert not file.exists()

    def test_the_log_goes_on_after_a_stop_and_a_restart_of_the_service(self) -> None:
        server = self.up()
        self._stop_server(server)
        self.wait_until(lambda: self.vterm(server) is None, "the terminal of a stopped guest is closed")
        self._start_server(server)
        self.recorded(server)
        self.simulator.clock.advance(BOOT_S)
        self.wait_until(lambda: self.output(server).count("login: ") == 2, "both boots are in the log")
        assert "not recorded" not in self.output(server)
        self.compute.stop()
        # The simulator hears of the end of a command a moment after it.
        self.wait_until(lambda: self.vterm(server) is None, "the terminal is closed with the service")
        self.type_text(server, "lost\r")
        self.start_compute()
        assert "not recorded since" in self.output(server)
        self.recorded(server)
        self.type_text(server, "\r")
        self.wait_until(lambda: "Login incorrect" in self.output(server), "the log goes on")
        text = self.output(server)
        assert text.count("login: ") == 3
        assert "lost" not in text
        assert "nova-compute was not running" in text
        assert text.index("not recorded from") < text.index("Login incorrect")
        self.delete(server)

    def test_the_size_is_bounded(self) -> None:
        server = self.up()
        file = self.log_file(server)
        line = b"x" * 99 + b"\n"
        with file.open("ab") as log:
            log.write(line * 6000)
        self.type_text(server, "root\r")
        self.wait_until(lambda: self.output(server).endswith("Password: "), "the log goes on")
        # Nova's API takes out what cannot be printed, as carriage returns.
        assert 100 * 1024 - 10 < len(self.output(server)) <= 100 * 1024
        assert file.stat().st_size < 300 * 1024
        self.delete(server)

    def test_without_a_recorder_nova_says_which_option(self) -> None:
        server = self.boot()
        self.compute.stop()
        self.powervm_options(console_recorder=False)
        self.start_compute()
        assert "console_recorder" in self.refused(server)
        self.wait_until(lambda: self.vterm(server) is None, "nothing is recorded")
        self.delete(server)


class Elsewhere(Consoles):
    """nova-compute does not run on the management partition."""

    def start_service_under_test(self) -> None:
        self.powervm_options(management_root=str(self.scratch))
        super().start_service_under_test()

    def test_there_is_no_console_and_nova_says_why(self) -> None:
        server = self.boot()
        assert "management partition" in self.refused(server)
        with pytest.raises(api_client.OpenStackApiException) as caught:
            self.token(server)
        assert caught.value.response.status_code == 400
        self.delete(server)

    def test_a_terminal_that_somebody_has_open_is_closed_through_the_service(self) -> None:
        server = self.boot()
        with self.attached(server) as process:
            self.wait_until(lambda: self.vterm(server) is not None, "the terminal is open")
            self.delete(server)
            assert process.wait(120) == 0


class Viewing(Consoles):
    """Reaches consoles by nova-novncproxy's own code."""

    secured = False

    def connect(self, server: dict[str, Any]) -> socket.socket:
        """A viewer's connection, as the proxy makes it."""
        handler = ProxyHandler(self.token(server), self.secured)
        with own_hub_kept():
            handler.new_websocket_client()
        assert handler.target is not None
        self.addCleanup(handler.target.close)
        return handler.target

    def read_until(self, viewer: socket.socket, end: bytes) -> bytes:
        """What a viewer is sent, up to something that must come."""
        viewer.settimeout(120)
        shown = b""
        while not shown.endswith(end):
            data = viewer.recv(1000)
            assert data, shown
            shown += data
        return shown

    @contextlib.asynccontextmanager
    async def client(self, connection: socket.socket) -> AsyncIterator[asyncvnc2.Client]:
        """An RFB client over a connection."""

        async def opener(_host: str, _port: int) -> Any:
            connection.setblocking(False)
            return await asyncio.open_connection(sock=connection)

        async with asyncio.timeout(120), asyncvnc2.connect("", 0, opener=opener) as client:
            yield client

    async def login(self, server: dict[str, Any], client: asyncvnc2.Client, name: str) -> None:
        """Type a name at the login prompt."""
        client.keyboard.write(name)
        client.keyboard.press("Return")
        while not self.printed(server).endswith(f"{name}\nPassword: "):
            await asyncio.sleep(0.05)

    def check_each_has_its_own(self, servers: list[dict[str, Any]]) -> None:
        """What is typed on the console of one of two servers reaches that one only."""

        async def session() -> None:
            for number, server in enumerate(servers):
                async with self.client(self.connect(server)) as client:
                    await self.login(server, client, f"user{number}")

        asyncio.run(session())
        assert ["user0" in self.printed(server) for server in servers] == [True, False]
        assert ["user1" in self.printed(server) for server in servers] == [False, True]

    def sent_away(self, server: dict[str, Any]) -> None:
        """A viewer is refused: in the answer to its request, or without a word where it makes none."""
        if conf.to_options(base.CONF).console_own_ports:
            viewer = self.connect(server)
            viewer.settimeout(120)
            assert viewer.recv(1) == b""
        else:
            with pytest.raises(exception.InvalidConnectionInfo):
                self.connect(server)


class VncConsole(Viewing):
    """The text screen by VNC."""

    def test_viewers_see_the_screen_and_type_and_the_recorder_comes_back(self) -> None:
        server = self.up()

        async def session() -> None:
            async with self.client(first) as one, self.client(second) as two:
                dark = (await one.screenshot())[:, :, :3].any(axis=2).sum()
                await self.login(server, one, "root")
                for client in (one, two):
                    lit = (await client.screenshot())[:, :, :3].any(axis=2).sum()
                    assert lit > dark + 100

        first, second = self.connect(server), self.connect(server)
        asyncio.run(session())
        self.recorded(server)
        self.type_text(server, "\r")
        self.wait_until(lambda: "Login incorrect" in self.output(server), "the log goes on")
        text = self.output(server)
        assert "Password" not in text
        assert "the console was shown by VNC" in text
        self.delete(server)

    def test_each_server_has_a_console_of_its_own(self) -> None:
        servers = [self.up(name="one"), self.up(name="two")]
        self.check_each_has_its_own(servers)
        self.delete(*servers)

    def test_a_stop_and_a_delete_send_the_viewers_away(self) -> None:
        server = self.up()
        viewer = self.connect(server)
        assert viewer.recv(12) == b"RFB 003.008\n"
        self._stop_server(server)
        viewer.settimeout(120)
        assert viewer.recv(12) == b""
        with pytest.raises(api_client.OpenStackApiException) as caught:
            self.token(server)
        assert caught.value.response.status_code == 409
        self._start_server(server)
        viewer = self.connect(server)
        viewer.settimeout(120)
        assert viewer.recv(12) == b"RFB 003.008\n"
        self.delete(server)
        assert viewer.recv(12) == b""

    def test_without_vnc_in_nova_there_is_no_console(self) -> None:
        server = self.boot()
        self.compute.stop()
        self.flags(enabled=False, group="vnc")
        self.start_compute()
        with pytest.raises(exception.ConsoleTypeUnavailable):
            self.driver.get_vnc_console(None, mock.Mock(uuid=server["id"]))
        self.delete(server)


class OnePort(Viewing):
    """All consoles on one port, as Nova 34's proxies and later ones take them; here without a proxy."""

    def start_service_under_test(self) -> None:
        self.powervm_options(console_own_ports=False)
        super().start_service_under_test()

    def answer(self, request: bytes) -> bytes:
        """What the port answers to a request."""
        with socket.create_connection(("127.0.0.1", base.CONF.powervm.vnc_port), 20) as connection:
            connection.sendall(request)
            return connection.recv(100)

    def test_idle_clients_and_wrong_requests_are_nobody_elses_trouble(self) -> None:
        server = self.up()
        console = self.driver.get_vnc_console(None, mock.Mock(uuid=server["id"]))
        assert console.port == base.CONF.powervm.vnc_port
        with contextlib.ExitStack() as idle:
            for _ in range(20):
                idle.enter_context(socket.create_connection(("127.0.0.1", console.port), 20))
            right = self.answer(f"CONNECT {console.internal_access_path} HTTP/1.1\r\n\r\n".encode())
            assert right.startswith(b"HTTP/1.1 200 ")
            for path in (server["id"], self.lpar_of(server)["uuid"], "x" * 200):
                answer = self.answer(f"CONNECT {path} HTTP/1.1\r\n\r\n".encode())
                assert answer.startswith(b"HTTP/1.1 400 "), path
            for request in (b"GET / HTTP/1.1\r\n\r\n", b"x" * 100_000, b"\xff\r\n\r\n"):
                assert self.answer(request).startswith(b"HTTP/1.1 400 ")
        self.delete(server)


class OwnPorts(Viewing):
    """A port for each console, which the proxies of every Nova take."""

    def start_service_under_test(self) -> None:
        self.powervm_options(console_own_ports=True)
        super().start_service_under_test()

    def test_a_port_leads_to_its_console_while_the_guest_runs(self) -> None:
        servers = [self.up(name="one"), self.up(name="two")]
        ports = [self.driver.get_vnc_console(None, mock.Mock(uuid=server["id"])).port for server in servers]
        self.check_each_has_its_own(servers)
        self._stop_server(servers[0])
        self.wait_until(lambda: not self.listens(ports[0]), "the port is closed")
        assert self.listens(ports[1])
        self.delete(*servers)
        assert not self.listens(ports[1])

    def listens(self, port: int) -> bool:
        """Whether this process does: once we have left it, the port may be somebody else's."""
        return any(
            one.status == psutil.CONN_LISTEN and one.laddr.port == port
            for one in psutil.Process().net_connections("tcp")
        )


class TakenByHand(Viewing):
    """Somebody on the management partition has the terminal; the recorder waits as long as in real use for it."""

    pauses = Pauses(linger_s=0.3)

    def test_who_opens_the_terminal_by_hand_gets_it_and_the_recorder_comes_back(self) -> None:
        server = self.up()
        assert self.run_command("mkvterm", server) == 3, "the recorder has it"
        before = self.vterm(server)
        assert self.run_command("rmvterm", server) == 0
        with self.attached(server) as process:
            assert process.stdin is not None
            self.wait_until(lambda: self.vterm(server) not in (None, before), "the terminal is theirs")
            process.stdin.write(b"root\r")
            process.stdin.flush()
            self.wait_until(lambda: self.printed(server).endswith("Password: "), "the guest took the input")
            self.wait_until(lambda: "somebody" in self.output(server), "the log says that it has a gap")
            process.stdin.close()
            assert process.wait(120) == 0
        self.recorded(server)
        self.type_text(server, "\r")
        self.wait_until(lambda: "Login incorrect" in self.output(server), "the log goes on")
        text = self.output(server)
        assert "Password" not in text
        assert text.index("not recorded from") < text.index("Login incorrect")
        self.delete(server)

    def test_a_terminal_that_somebody_has_open_does_not_keep_a_server_from_being_deleted(self) -> None:
        server = self.up()
        before = self.vterm(server)
        self.run_command("rmvterm", server)
        with self.attached(server) as process:
            self.wait_until(lambda: self.vterm(server) not in (None, before), "the terminal is theirs")
            self.delete(server)
            assert process.wait(120) == 0

    def test_a_viewer_does_not_take_the_terminal_from_somebody_on_the_management_partition(self) -> None:
        server = self.up()
        before = self.vterm(server)
        self.run_command("rmvterm", server)
        with self.attached(server) as process:
            self.wait_until(lambda: self.vterm(server) not in (None, before), "the terminal is theirs")
            self.sent_away(server)
            assert process.poll() is None
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(120) == 0
        assert self.connect(server).recv(12) == b"RFB 003.008\n"
        self.delete(server)


class SerialConsole(Viewing):
    """The terminal as a stream of bytes, shared with the recorder."""

    protocol = {"protocol": "serial", "type": "serial"}

    def start_service_under_test(self) -> None:
        self.flags(enabled=True, proxyclient_address="127.0.0.1", group="serial_console")
        super().start_service_under_test()

    def test_viewers_type_and_see_and_all_of_it_is_in_the_log(self) -> None:
        server = self.up()
        one, two = self.connect(server), self.connect(server)
        one.sendall(b"root\r")
        for viewer in (one, two):
            assert self.read_until(viewer, b"Password: ") == b"root\r\nPassword: "
        one.close()
        two.sendall(b"\r")
        self.read_until(two, b"login: ")
        self.wait_until(lambda: self.output(server).endswith("login: "), "the log has it")
        assert "not recorded" not in self.output(server)
        self._stop_server(server)
        while two.recv(100):
            pass
        self.delete(server)

    def test_a_vnc_viewer_takes_the_terminal(self) -> None:
        server = self.up()
        viewer = self.connect(server)
        self.protocol = Consoles.protocol
        screen = self.connect(server)
        assert screen.recv(12) == b"RFB 003.008\n"
        viewer.settimeout(120)
        assert viewer.recv(100) == b""
        self.protocol = SerialConsole.protocol
        self.sent_away(server)
        screen.close()
        self.recorded(server)
        self.connect(server).close()
        self.delete(server)


class SecuredVncConsole(Viewing):
    """Through TLS, with certificates on both sides."""

    secured = True

    def start_service_under_test(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.scratch / "ca.pem"))
        for name in ("host", "proxy"):
            certificate = authority.issue_cert(f"{name}.example.org")
            certificate.private_key_and_cert_chain_pem.write_to_path(str(self.scratch / f"{name}.pem"))
        ca, host, proxy = (str(self.scratch / f"{name}.pem") for name in ("ca", "host", "proxy"))
        self.powervm_options(vnc_use_x509_auth=True, vnc_ca_certs=ca, vnc_server_cert=host, vnc_server_key=host)
        self.flags(
            auth_schemes=["vencrypt"],
            vencrypt_ca_certs=ca,
            vencrypt_client_cert=proxy,
            vencrypt_client_key=proxy,
            group="vnc",
        )
        super().start_service_under_test()

    def test_the_proxy_gets_in_with_its_certificate_only(self) -> None:
        server = self.up()
        viewer = self.connect(server)
        assert self.read_until(viewer, bytes(4)) == bytes(4), "the security result is good"
        viewer.sendall(b"\x01")
        self.read_until(viewer, self.lpar_of(server)["name"].encode())
        self.secured = False
        plain = self.connect(server)
        self.read_until(plain, b"RFB 003.008\n")
        plain.sendall(b"RFB 003.008\n")
        assert self.read_until(plain, bytes([19])) == bytes([1, 19]), "VeNCrypt is all that is offered"
        plain.sendall(b"\x01")
        assert plain.recv(1) == b"", "and another choice ends the connection"
        self.delete(server)


class DeleteWithAnOpenTerminal(test_nova_powervm_sweeps.DeleteSweep):
    """Through the REST service alone: the deletion is refused, the terminal closed, and the deletion repeated."""

    def start_service_under_test(self) -> None:
        self.powervm_options(management_root=str(self.scratch))
        super().start_service_under_test()

    def boot(self, name: str = "web", **fields: Any) -> dict[str, Any]:
        server = super().boot(name, **fields)
        self.simulator.management.vterms.open(self.lpar_of(server)["uuid"], True, "037")
        return server

    def recorded(self) -> list[Call]:
        """What a closed terminal would not have needed."""
        calls = super().recorded()
        kinds = [(call.method, call.template) for call in calls]
        begin = kinds.index(("DELETE", LPAR))
        assert kinds.count(("DELETE", LPAR)) == 2
        assert ("PUT", f"{LPAR}/do/CloseVterm") in kinds
        return calls[begin:]

    @pytest.mark.full
    @pytest.mark.timeout(900)
    def test_delete(self) -> None:
        self.sweep()
