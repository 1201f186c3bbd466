"""The little shell: what the Cloud Connector's scripts do to a guest's files, as bash does it to real ones."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.unit.sim.zvm.conftest import Zvm

from bigiron.sim.zvm.guest.files import Files
from bigiron.sim.zvm.guest.shell import Shell
from bigiron.sim.zvm.model.disks import Written

SCRIPTS = {
    "echo": "echo -n one > {}/a\necho two >> {}/a\necho three >>{}/a\n> {}/empty\n",
    "cat": "echo x > {}/a\necho y > {}/b\ncat {}/a {}/b > {}/c\n",
    "rm": "echo x > {}/ifcfg-a\necho x > {}/ifcfg-b\necho x > {}/other\n\nrm -f {}/ifcfg-*\n",
    "sed": 'echo HOSTNAME=old > {}/n\necho A=1 >> {}/n\nsed -i "s/^HOSTNAME=.*/HOSTNAME=new/" {}/n\n'
    "sed -i '/A=/d' {}/n\n",
    "quotes": 'echo \'a  b\' > {}/a\necho "SUBSYSTEM==\\"net\\"" >> {}/a\n# comment > {}/never\n',
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_does_to_files_what_bash_does(name: str, z: Zvm, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    subprocess.run(["bash", "-c", SCRIPTS[name].replace("{}", str(real))], check=True)
    files = Files(z.system, None, Written())
    Shell(files).run(SCRIPTS[name].replace("{}", "/etc"))
    assert {path: files.text(path) for path in files.paths()} == {
        f"/etc/{path.name}": path.read_text() for path in real.iterdir()
    }


def test_scripts_beside_it_are_run(z: Zvm) -> None:
    files = Files(z.system, None, Written())
    called: list[list[str]] = []
    shell = Shell(files, {"0000": b"echo inner > /etc/inner\n"}, {"tool": lambda words: called.append(words) or "done"})
    assert shell.run("cat 0000 > /tmp/x.sh\n/bin/bash /tmp/x.sh\nbash tool 'a=1 b=2'\n/bin/bash none\n") == 127
    assert files.text("/etc/inner") == "inner\n" and called == [["a=1 b=2"]]
    assert shell.output == ["done", "bash: none: No such file or directory"]


def test_its_status_is_the_last_or_that_of_exit(z: Zvm) -> None:
    shell = Shell(Files(z.system, None, Written()))
    assert shell.run("echo x\n") == 0 and shell.run("cat /none\n") == 1 and shell.run("exit 4\necho x > /etc/x\n") == 4
    assert shell.files.paths() == []


def test_a_host_name_is_set(z: Zvm) -> None:
    shell = Shell(Files(z.system, None, Written()))
    shell.run("#!/bin/bash\necho -n web-1 > /etc/hostname\n/bin/hostname web-1\n")
    assert (shell.hostname, shell.files.text("/etc/hostname")) == ("web-1", "web-1")
