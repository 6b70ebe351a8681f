# Run by the systemd of boot.sh: prints what becomes of the unit, one fact a line.
set -x
vip() { ip addr show eth0 | grep -q 192.168.1.1/24; }
await() { # what is to hold, within 20 s
	for _ in $(seq 200); do
		"$@" && echo "$*: yes" && return
		sleep 0.1
	done
	echo "$*: no"
}
gone() { ! vip; }
main() { systemctl show tandemd -p MainPID --value; }
restarted() { [ "$(systemctl show tandemd -p NRestarts --value)" = "$1" ]; }
reload() { systemctl reload tandemd && echo "reload: taken" || echo "reload: refused"; }

systemctl start tandemd
echo "started: $(systemctl is-active tandemd)"
await vip
reload
cp /run/keepalived.conf /run/good.conf
echo 'vrrp_instance {' >>/run/keepalived.conf
reload
cp /run/good.conf /run/keepalived.conf
echo "after it: $(systemctl is-active tandemd)"
kill -9 "$(pgrep -P "$(main)")"
await vip
echo "restarts after the worker's death: $(systemctl show tandemd -p NRestarts --value)"
guard=$(main)
kill -STOP "$guard" # or it would start another worker in between
kill -9 "$(pgrep -P "$guard")" "$guard"
await restarted 1
await vip
journalctl -u tandemd | grep -q 'withdraw what an earlier run left' && echo "cleaned up"
systemctl stop tandemd
echo "stopped: $(systemctl show tandemd -p Result --value)"
await gone
journalctl -u tandemd -o cat >/run/out/journal
sync
systemctl --force --force poweroff
