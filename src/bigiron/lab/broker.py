"""A private RabbitMQ on one loopback port, run from installed or unpacked Debian packages by an ordinary user.

The packaged `erl` and `rabbitmq-server` scripts are not used: they have /usr/lib/erlang built in and want the
`rabbitmq` user. The Erlang emulator is started directly, as one process, without epmd and without a distribution port.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bigiron.lab import debian
from bigiron.lab.errors import LabError
from bigiron.lab.paths import write_private
from bigiron.lab.ports import LOOPBACK

PACKAGES = (
    "rabbitmq-server",
    "erlang-base",
    "erlang-asn1",
    "erlang-crypto",
    "erlang-inets",
    "erlang-mnesia",
    "erlang-os-mon",
    "erlang-parsetools",
    "erlang-public-key",
    "erlang-runtime-tools",
    "erlang-ssl",
    "erlang-syntax-tools",
    "erlang-tools",
    "erlang-xmerl",
)
_CORE_PLUGINS = ("rabbitmq_prelaunch",)
_ADVICE = "install the package rabbitmq-server (it need not be started), or give a broker with --broker URL"
_AMQP_PORT = 5672
# Shared libraries the unpacked emulator takes from the system, and the package of each.
_LIBRARY_PACKAGES = {
    "libstdc++": "libstdc++6",
    "libgcc_s": "libgcc-s1",
    "libtinfo": "libtinfo6",
    "libz": "zlib1g",
    "libcrypto": "libssl3",
    "libsystemd": "libsystemd0",
}


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where an Erlang installation and a RabbitMQ release lie."""

    erlang: Path
    rabbitmq: Path


def find(cache: Path) -> Binaries | None:
    """Return the installed broker, else the one unpacked in the cache, else None."""
    for prefix in (Path("/usr/lib"), cache / "rabbitmq" / "usr" / "lib"):
        releases = sorted(prefix.glob("rabbitmq/lib/rabbitmq_server-*"))
        if releases and sorted((prefix / "erlang").glob("erts-*/bin/erlexec")):
            return Binaries(erlang=prefix / "erlang", rabbitmq=releases[-1])
    return None


def obtain(cache: Path) -> Binaries:
    """Return a broker that can run here, downloading Debian's packages into the cache when none is installed."""
    binaries = debian.obtain(cache, "rabbitmq", PACKAGES, _ADVICE, find)
    if binaries is None:
        raise LabError(f"the packages in {cache / 'rabbitmq'} hold no RabbitMQ: remove that folder and try again")
    _check_libraries(binaries)
    return binaries


def _check_libraries(binaries: Binaries) -> None:
    """Name the system packages whose shared libraries the emulator lacks."""
    programs = [*binaries.erlang.glob("erts-*/bin/beam.smp"), *binaries.erlang.glob("lib/crypto-*/priv/lib/crypto.so")]
    if missing := debian.missing_libraries(programs):
        packages = sorted({_LIBRARY_PACKAGES.get(name.split(".so")[0].split("-")[0], name) for name in missing})
        raise LabError(f"RabbitMQ lacks {', '.join(sorted(missing))}: install {' '.join(packages)}")


def write_files(folder: Path, port: int, password: str, cookie: str) -> None:
    """Write the broker's option files and folders."""
    for name in ("log", "mnesia", "tmp"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(folder / "env.conf", "")
    write_private(folder / "enabled_plugins", "[].\n")
    write_private(folder / ".erlang.cookie", cookie)
    # Erlang refuses a cookie that its owner could change.
    (folder / ".erlang.cookie").chmod(0o400)
    write_private(
        folder / "rabbitmq.conf",
        "\n".join(
            (
                f"listeners.tcp.1 = {LOOPBACK}:{port}",
                "num_acceptors.tcp = 2",
                "default_user = lab",
                f"default_pass = {password}",
                "loopback_users = none",
                "vm_memory_high_watermark.absolute = 1GB",
                "disk_free_limit.absolute = 50MB",
                "log.file = rabbit.log",
                "log.file.level = info",
                "log.console = false",
                "",
            )
        ),
    )


def erlang_root(folder: Path, binaries: Binaries) -> Path:
    """Build a view of the Erlang installation in which `erl` and `epmd` do nothing.

    A minute after boot RabbitMQ runs `erl` to start epmd, which would listen on every interface and outlive the broker.
    Beside it, plugins/ links the libraries of the broker's core: without the optional plug-ins it starts twice as fast
    and needs fewer packages.
    """
    root = folder / "erlang"
    shutil.rmtree(root, ignore_errors=True)
    real_bin = sorted(binaries.erlang.glob("erts-*"))[-1] / "bin"
    own_bin = root / real_bin.parent.name / "bin"
    own_bin.mkdir(mode=0o700, parents=True)
    (root / "bin").mkdir()
    (root / "lib").symlink_to(binaries.erlang / "lib")
    (root / "releases").symlink_to(binaries.erlang / "releases")
    for boot in (binaries.erlang / "bin").glob("*.boot"):
        (root / "bin" / boot.name).symlink_to(boot)
    for tool in real_bin.iterdir():
        if tool.name not in ("erl", "epmd"):
            (own_bin / tool.name).symlink_to(tool)
    (root / "plugins").mkdir()
    for library in (binaries.rabbitmq / "plugins").iterdir():
        if library.name.startswith(_CORE_PLUGINS) or not library.name.startswith("rabbitmq_"):
            (root / "plugins" / library.name).symlink_to(library)
    for name in ("erl", "epmd"):
        (own_bin / name).write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
        (own_bin / name).chmod(0o700)
    return root


def environment(folder: Path, port: int, binaries: Binaries, root: Path) -> Mapping[str, str]:
    """Return what `rabbitmq-server` would export, with every path inside the lab."""
    bindir = sorted(root.glob("erts-*"))[-1] / "bin"
    return {
        "ROOTDIR": str(root),
        "BINDIR": str(bindir),
        "EMU": "beam",
        "PROGNAME": "erl",
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "PATH": f"{bindir}:{os.defpath}",
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_LIBS": str(root / "plugins"),
        "ERL_MAX_ETS_TABLES": "50000",
        "ERL_CRASH_DUMP": str(folder / "log" / "erl_crash.dump"),
        "ERL_CRASH_DUMP_SECONDS": "0",
        "SYS_PREFIX": "",
        "RABBITMQ_HOME": str(binaries.rabbitmq),
        "RABBITMQ_NODENAME": f"bigiron{port}@localhost",
        "RABBITMQ_BASE": str(folder),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_PLUGINS_DIR": str(root / "plugins"),
    }


def command(port: int, root: Path) -> tuple[str, ...]:
    """Return the emulator's command line: one scheduler, small allocators, no distribution."""
    erlexec = sorted(root.glob("erts-*"))[-1] / "bin" / "erlexec"
    return (
        str(erlexec),
        "-noinput",
        "-s",
        "rabbit",
        "boot",
        "-boot",
        "start_sasl",
        "+W",
        "w",
        "+MBas",
        "ageffcbf",
        "+MHas",
        "ageffcbf",
        "+MBlmbcs",
        "512",
        "+MHlmbcs",
        "512",
        "+MMmcs",
        "30",
        "+S",
        "1:1",
        "+sbwt",
        "none",
        "+sbwtdcpu",
        "none",
        "+sbwtdio",
        "none",
        "+P",
        "1048576",
        "+t",
        "5000000",
        "+stbt",
        "db",
        "+zdbbl",
        "128000",
        "-sname",
        f"bigiron{port}@localhost",
        "-start_epmd",
        "false",
        "-erl_epmd_port",
        "1",
        "-dist_listen",
        "false",
        "-syslog",
        "logger",
        "[]",
        "-syslog",
        "syslog_error_logger",
        "false",
        "-kernel",
        "prevent_overlapping_partitions",
        "false",
    )


def require(url: str) -> None:
    """Refuse a broker's URL that is malformed, or at which no broker answers."""
    # Here and not above, because it takes a second to import, and few labs are given a broker.
    from oslo_config import cfg
    from oslo_messaging import InvalidTransportURL, TransportURL

    try:
        hosts = TransportURL.parse(cfg.ConfigOpts(), url).hosts
    except (InvalidTransportURL, ValueError) as error:
        raise LabError(f"the --broker URL cannot be read ({error}): write rabbit://user:password@host:5672/") from error
    places = [(host.hostname, host.port or _AMQP_PORT) for host in hosts]
    if not any(answers(port, name) for name, port in places):
        listed = ", ".join(f"{name}:{port}" for name, port in places) or "no host"
        raise LabError(f"no message broker answers at {listed}: start it, or leave --broker away to run a private one")


def answers(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether a broker answers the AMQP greeting on this port."""
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(1) == b"\x01"
    except OSError:
        return False
