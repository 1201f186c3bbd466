#!/usr/bin/env bash
# Make an installed Linux on IBM Z ready to be an image for z/VM: the activation engine, the IUCV server, cloud-init, and
# nothing in it that only one server may have. Run it as root, in the guest, as the last thing before its shutdown; or
# with --root on the file system of its disk, mounted elsewhere.
usage="prepare-guest.sh --feilong DIR --iucv DIR --sender USERID [--root DIR]
  --feilong  a checkout of Feilong, for tools/share/zvmguestconfigure and its unit
  --iucv     a copy of /opt/zthin/bin/IUCV of the Cloud Connector's host, for iucvserv and its unit
  --sender   the userid that the Cloud Connector runs in: the only one that may configure the guest
  --root     where the guest's root file system is (default: /)"
set -euo pipefail

feilong= iucv= sender= root=/
while (($#)); do
    case $1 in
    --feilong) feilong=${2:?$usage} && shift ;;
    --iucv) iucv=${2:?$usage} && shift ;;
    --sender) sender=${2:?$usage} && shift ;;
    --root) root=${2:?$usage} && shift ;;
    -h | --help) echo "$usage" && exit 0 ;;
    *) echo "$usage" >&2 && exit 2 ;;
    esac
    shift
done
[[ $feilong && $iucv && $sender ]] || { echo "$usage" >&2 && exit 2; }
sender=${sender^^}
[[ $sender =~ ^[A-Z0-9@#\$]{1,8}$ ]] || { echo "--sender $sender is no userid: give up to eight letters and digits" >&2 && exit 2; }
root=${root%/}

# Everything that is missing is said at once, before anything is changed.
missing=()
for file in "$feilong/tools/share/zvmguestconfigure"{,.service,.service.ubuntu} "$iucv/iucvserv" "$iucv/iucvserd.service"; do
    [[ -f $file ]] || missing+=("$file")
done
found() { # found NAME...: whether the guest has one of these programs
    local name folder
    for name; do
        for folder in usr/sbin usr/bin sbin bin; do
            [[ ! -x $root/$folder/$name ]] || return 0
        done
    done
    return 1
}
for name in vmur chccwdev blkid losetup systemctl cloud-init; do
    found "$name" || missing+=("$name in the guest (packages s390-tools or s390utils-base, util-linux, systemd, cloud-init)")
done
((${#missing[@]} == 0)) || { printf 'missing: %s\n' "${missing[@]}" >&2 && exit 1; }

put() { # put FILE: standard input becomes a file of the guest
    mkdir -p "$(dirname "$root$1")" && cat >"$root$1"
}
enable() { # enable UNIT: as `systemctl enable` does for multi-user.target, on a file system that need not be running
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    ln -sfn "/etc/systemd/system/$1" "$root/etc/systemd/system/multi-user.target.wants/$1"
}

# The activation engine reads what the connector has put into the guest's reader. On Debian's family it must not wait
# for basic.target, which is after cloud-init there.
unit=$feilong/tools/share/zvmguestconfigure.service
[[ ! -e $root/etc/debian_version ]] || unit+=.ubuntu
put /etc/systemd/system/zvmguestconfigure.service <"$unit"
put /etc/systemd/system/zvmguestconfigure.service.d/network.conf <<END
[Unit]
Before=network-pre.target systemd-networkd.service wicked.service
Wants=network-pre.target
END
sed "s/^authorizedSenders=.*/authorizedSenders='$sender'/" "$feilong/tools/share/zvmguestconfigure" | put /usr/bin/zvmguestconfigure
chmod 755 "$root/usr/bin/zvmguestconfigure"
enable zvmguestconfigure.service

# The IUCV server answers the connector in a running guest.
put /usr/bin/iucvserv <"$iucv/iucvserv"
chmod 755 "$root/usr/bin/iucvserv"
put /etc/systemd/system/iucvserd.service <"$iucv/iucvserd.service"
printf %s "$sender" | put /etc/iucv_authorized_userid
enable iucvserd.service
put /etc/modules-load.d/zvm.conf <<END
vmur
vmcp
af_iucv
loop
END

# cloud-init reads the config drive and leaves the network to the activation engine.
put /etc/cloud/cloud.cfg.d/90-zvm.cfg <<END
datasource_list: [ConfigDrive, None]
network: {config: disabled}
END

# What each server makes for itself.
rm -rf "$root/var/lib/cloud" "$root/var/opt/zthin"
rm -f "$root"/etc/ssh/ssh_host_*
: | put /etc/machine-id
rm -f "$root/var/lib/dbus/machine-id" "$root"/var/lib/systemd/random-seed
echo "${root:-/} is ready: shut it down and make an image of its disk"
