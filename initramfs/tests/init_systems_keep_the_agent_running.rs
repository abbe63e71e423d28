//! A stand-in for the agent under each init system but systemd: it is started, started again when it is killed,
//! stopped, and left alone where it is not wanted.

#[path = "common/debian.rs"]
#[allow(dead_code, reason = "not every file has a use for all of it")]
mod debian;
#[path = "common/services.rs"]
#[allow(dead_code, reason = "not every file has a use for all of it")]
mod services;

use services::in_a_system;

/// The script with an exit code after each action, under a shell.
fn actions(shell: &str, before: &str, actions: &str) -> Vec<String> {
    in_a_system(&format!(
        "{before}
        for action in {actions}; do {shell} $SERVICES/nanova.lsb $action >/run/said 2>&1; echo $action $?; done"
    ))
}

#[test]
#[ignore = "needs user namespaces, dash, bash and busybox"]
fn the_lsb_script_starts_and_stops_it_and_says_so_in_its_exit_codes() {
    for shell in ["dash", "bash", "busybox sh"] {
        let done = actions(
            shell,
            "echo NANOVA_OPTIONS=\"'-l debug'\" >/etc/default/nanova",
            "status stop start start status reload restart try-restart force-reload stop status try-restart reload nonsense ''",
        );
        let expected = "status 3|stop 0|start 0|start 0|status 0|reload 0|restart 0|try-restart 0|force-reload 0|stop 0|status 3|\
            try-restart 0|reload 7|nonsense 2";
        assert_eq!(done[..14].join("|"), expected, "{shell}");
        let agents = in_a_system(&format!(
            "echo NANOVA_OPTIONS=\"'-l debug'\" >/etc/default/nanova
            for action in start reload start restart stop; do
                {shell} $SERVICES/nanova.lsb $action >/dev/null
                # One that is told to end meanwhile may not get to say it.
                [ $action != reload ] || until_ok grep -q reopened /run/agents
            done
            cut -d' ' -f 2- /run/agents; ls /run/nanova.pid 2>&1; true"
        ));
        let started = "agent -p /var/run/nanova.pid -l debug";
        assert_eq!(agents[..5], [started, "reopened", "stopped", started, "stopped"], "{shell}");
        assert!(agents[5].contains("No such file"), "{agents:?}");
    }
}

#[test]
#[ignore = "needs user namespaces"]
fn the_lsb_script_knows_a_dead_agent_another_process_and_a_machine_that_is_no_guest() {
    let script = "
        do_it() { sh $SERVICES/nanova.lsb \"$1\" >/run/said 2>&1; echo \"$1 $?\"; }
        do_it start; kill -9 $(cat /run/nanova.pid); until_ok ended $(cat /run/nanova.pid); do_it status; do_it start; do_it stop
        sleep 60 & echo $! >/run/nanova.pid; do_it status; do_it stop; kill -0 $! && echo left alone
        echo 77 >/run/end-with; do_it start; do_it status; grep -c 'not a Xen guest' /run/said; sh $SERVICES/nanova.lsb start
        echo 1 >/run/end-with; do_it start; ls /run/nanova.pid 2>/dev/null
        rm /usr/sbin/nanova; do_it start";
    let said = "nanova: not a Xen guest: nothing to do";
    let expected =
        ["start 0", "status 1", "start 0", "stop 0", "status 1", "stop 0", "left alone", "start 0", "status 3"];
    let done = in_a_system(script);
    assert_eq!(done[..9], expected);
    assert_eq!(done[9..], ["0", said, "start 1", "start 5"]);
}

#[test]
#[ignore = "needs user namespaces"]
fn the_lsb_script_kills_an_agent_that_does_not_end() {
    let done = in_a_system(
        "sed -i 's/^trap.*/trap : TERM/' /usr/sbin/nanova
        sh $SERVICES/nanova.lsb start >/dev/null; sh $SERVICES/nanova.lsb stop 2>&1; echo $?; ended $(latest) && echo gone",
    );
    assert!(done[0].ends_with("does not end: killed"), "{done:?}");
    assert_eq!(done[1..], ["nanova: stopped", "0", "gone"]);
}

/// What a supervisor does, in the words of its own control programs.
fn supervised(begin: &str, down: &str, up: &str) {
    let done = in_a_system(&format!(
        "mkdir -p /run/scan; echo NANOVA_OPTIONS='-q' >/etc/default/nanova
        {begin}
        until_ok started 1; kill -9 $(latest); until_ok started 2
        {down}
        until_ok grep -q stopped /run/agents; sleep 1.5; cut -d' ' -f 2- /run/agents
        echo not a guest; echo 77 >/run/end-with
        {up}
        until_ok started 3; sleep 2.5; agents"
    ));
    assert_eq!(done, ["agent -q", "agent -q", "stopped", "not a guest", "3"]);
}

#[test]
#[ignore = "needs user namespaces and runit"]
fn runit_keeps_it_running_but_not_where_there_is_no_xen() {
    supervised(
        "cp -r $SERVICES/runit /run/scan/nanova; runsvdir /run/scan >/dev/null 2>&1 &",
        "sv down /run/scan/nanova >/dev/null",
        "sv up /run/scan/nanova >/dev/null",
    );
}

#[test]
#[ignore = "needs user namespaces and s6"]
fn s6_keeps_it_running_but_not_where_there_is_no_xen() {
    supervised(
        "cp -r $SERVICES/s6 /run/scan/nanova; s6-svscan /run/scan >/dev/null 2>&1 &",
        "s6-svc -d /run/scan/nanova",
        "s6-svc -u /run/scan/nanova",
    );
}

#[test]
#[ignore = "needs user namespaces, procps and busybox"]
fn the_line_for_busybox_init_does_what_the_readme_says() {
    let readme = services::text("README.md");
    let line = readme.lines().find(|line| line.starts_with("::respawn:")).unwrap();
    let done = in_a_system(&format!(
        "cat >/etc/inittab <<'END'\n{line}\nEND
        unshare --pid --fork --kill-child busybox init </dev/null >/dev/null 2>&1 &
        init=$!
        until_ok started 1; pkill -9 -f '^/bin/sh /usr/sbin/nanova'; until_ok started 2
        echo 77 >/run/end-with; pkill -9 -f '^/bin/sh /usr/sbin/nanova'; until_ok started 3; sleep 3
        cut -d' ' -f 2- /run/agents; kill -9 $init"
    ));
    assert_eq!(done, ["agent -o kmsg"; 3]);
}

/// A system with OpenRC in it and nothing in its runlevels but `others`: a name and its dependencies each.
fn openrc(others: &[(&str, &str)], script: &str) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    ["openrc", "librc1", "libeinfo1"].iter().for_each(|package| debian::unpack(home.path(), package));
    let script_of = |(name, depend): &(&str, &str)| {
        let start = "cut -d' ' -f 2- /run/agents; echo $RC_SVCNAME";
        let text = format!("#!/sbin/openrc-run\ndepend() {{ {depend}; }}\nstart() {{ {start}; }}\n");
        format!("cat >/etc/init.d/{name} <<'END'\n{text}END\n")
    };
    let others: String = others.iter().map(script_of).collect();
    in_a_system(&format!(
        "for part in lib/rc lib/*-linux-gnu sbin bin; do
            mkdir -p /usr/$part; cp -a {home}/$part/. /usr/$part/
        done
        cp {home}/etc/rc.conf /etc; echo 'rc_sys=\"\"' >>/etc/rc.conf
        mkdir -p /etc/conf.d /etc/runlevels/boot /etc/runlevels/default
        for state in starting started stopping inactive wasinactive failed hotplugged daemons options exclusive \\
            scheduled init.d tmp; do mkdir -p /run/openrc/$state; done
        echo default >/run/openrc/softlevel
        install -m 755 $SERVICES/nanova.initd /etc/init.d/nanova
        install -m 644 $SERVICES/nanova.confd /etc/conf.d/nanova
        echo 'NANOVA_OPTIONS=\"-l debug\"' >>/etc/conf.d/nanova
        {others}
        chmod 755 /etc/init.d/*
        service() {{ rc-service nanova $1 >/run/said 2>&1; echo $1 $?; }}
        {script}",
        home = home.path().display()
    ))
}

#[test]
#[ignore = "needs user namespaces and apt-get"]
fn openrc_keeps_it_running() {
    let done = openrc(
        &[("localmount", ":")],
        "service start; until_ok started 1; service status
        kill -9 $(latest); until_ok started 2; service restart; until_ok started 3; service stop; until_ok ended $(latest)
        service status; cut -d' ' -f 2- /run/agents",
    );
    let agent = "agent -l debug";
    let states = ["start 0", "status 0", "restart 0", "stop 0", "status 3"];
    assert_eq!(done[..5], states);
    assert_eq!(done[5..], [agent, agent, "stopped", agent, "stopped"]);
}

#[test]
#[ignore = "needs user namespaces and apt-get"]
fn openrc_starts_it_before_the_network_and_for_those_who_need_its_predecessor() {
    let others = [
        ("localmount", ":"),
        ("networking", "provide net; need localmount"),
        ("cloud-init", "need localmount"),
        ("old", "need nova-agent"),
    ];
    let done = openrc(
        &others,
        "rc-update -q add networking boot; rc-update -q add cloud-init boot; rc-update -q add nanova boot
        rc-update -q add old default
        openrc boot >/run/said 2>&1; openrc default >>/run/said 2>&1; grep -v '\\*' /run/said; rc-service -q nanova stop",
    );
    let position = |name: &str| done.iter().position(|line| line == name).unwrap_or_else(|| panic!("{name}: {done:?}"));
    for after in ["networking", "cloud-init", "old"] {
        assert!(position("localmount") < position(after));
        assert_eq!(done[position(after) - 1], "agent -l debug", "the agent is there before {after}: {done:?}");
    }
}

#[test]
#[ignore = "needs user namespaces and apt-get"]
fn openrc_leaves_it_out_where_there_is_no_xen() {
    let done =
        openrc(&[("localmount", ":")], "rm -r /run/xenstored; service start; cat /run/said; agents; service stop");
    assert_eq!(done[0], "start 0", "{done:?}");
    assert!(done.iter().any(|line| line.contains("not a Xen guest: nothing to do")), "{done:?}");
    assert_eq!(done[done.len() - 2..], ["0", "stop 0"]);
}
