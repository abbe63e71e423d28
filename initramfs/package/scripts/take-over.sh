# Two agents would each serve a part of what the host asks, and the reports of two would overwrite each other. So what
# does our task now is stopped and no longer started at boot; its files stay, and its own package may bring it back.
take_over() {
	for old in nova-agent xe-linux-distribution xe-daemon xe-guest-utilities xen-guest-agent; do
		[ -x "/etc/init.d/$old" ] || systemctl is-enabled "$old.service" >/dev/null 2>&1 ||
			systemctl is-active "$old.service" >/dev/null 2>&1 || continue
		if [ -d /run/systemd/system ]; then
			systemctl stop "$old.service" >/dev/null 2>&1 || true
		elif [ -x "/etc/init.d/$old" ]; then
			"/etc/init.d/$old" stop >/dev/null 2>&1 || true
		fi
		if command -v systemctl >/dev/null 2>&1; then
			systemctl disable "$old.service" >/dev/null 2>&1 || true
		elif command -v rc-update >/dev/null 2>&1; then
			rc-update --all del "$old" >/dev/null 2>&1 || true
		elif command -v update-rc.d >/dev/null 2>&1; then
			update-rc.d "$old" disable >/dev/null 2>&1 || true
		elif command -v chkconfig >/dev/null 2>&1; then
			chkconfig "$old" off >/dev/null 2>&1 || true
		fi
		echo "nanova: the service $old is stopped and turned off; nanova does its task now"
	done
}
