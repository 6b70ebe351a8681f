#!/bin/sh
# Becomes systemd in a guest kernel, with the unit UNIT, whose program is TANDEMD; try.sh of this
# directory is run by it, and what that finds out goes to OUT. Nothing here may touch a host: systemd
# empties /tmp at its start.
set -eu
grep -q 'User Mode Linux' /proc/cpuinfo
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /run/systemd/system /run/out /run/here
touch /run/program
mount --bind "$OUT" /run/out
mount --bind "$(dirname "$0")" /run/here
mount --bind "$TANDEMD" /run/program
sed -e 's#/usr/sbin/tandemd#/run/program#; s#/etc/keepalived/keepalived.conf#/run/keepalived.conf#g' \
	"$UNIT" >/run/systemd/system/tandemd.service
for d in /tmp /var/lib /var/log /var/tmp; do mount -t tmpfs tmpfs "$d"; done
for u in tmpfiles-setup tmpfiles-setup-dev tmpfiles-clean udevd udev-trigger update-utmp sysctl \
	random-seed machine-id-commit remount-fs networkd resolved timesyncd; do
	ln -s /dev/null "/run/systemd/system/systemd-$u.service"
done
ip link add eth0 type veth peer name peer0
ip addr add 192.168.1.2/24 dev eth0
for d in eth0 peer0 lo; do ip link set "$d" up; done
cat >/run/keepalived.conf <<END
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 150
    version 3
    advert_int 0.1
    virtual_ipaddress { 192.168.1.1/24 }
}
END
cat >/run/systemd/system/try.target <<END
[Unit]
Wants=try.service systemd-journald.service
END
cat >/run/systemd/system/try.service <<END
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
StandardOutput=file:/run/out/facts
StandardError=file:/run/out/trace
ExecStart=/bin/sh /run/here/try.sh
END
export container=uml
exec /lib/systemd/systemd --system --unit=try.target --log-target=console
