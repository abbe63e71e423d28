//! The service files as the programs that read them see them: they parse, they are complete, they are in order.

#[path = "common/services.rs"]
#[allow(dead_code, reason = "not every file has a use for all of it")]
mod services;

use services::{folder, in_a_system, succeed, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const SCRIPTS: [&str; 6] = ["nanova.lsb", "runit/run", "runit/finish", "s6/run", "s6/finish", "kmsactivate.example"];

/// A root for systemctl and systemd-analyze, with nanova.service in it.
fn systemd_root(home: &Path) -> String {
    let units = home.join("usr/lib/systemd/system");
    fs::create_dir_all(&units).unwrap();
    fs::create_dir_all(home.join("etc/systemd/system")).unwrap();
    fs::copy(folder().join("nanova.service"), units.join("nanova.service")).unwrap();
    fs::write(units.join("multi-user.target"), "[Unit]\n").unwrap();
    home.to_str().unwrap().to_owned()
}

#[test]
fn a_shell_parses_them_and_they_are_executable() {
    for name in SCRIPTS.iter().chain(&["nanova.initd"]) {
        let path = folder().join(name);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o111, 0o111, "{name}");
        succeed("sh", &["-n", path.to_str().unwrap()]);
    }
}

#[test]
#[ignore = "needs dash, bash and busybox"]
fn the_shells_they_meet_parse_them() {
    for name in SCRIPTS.iter().chain(&["nanova.initd", "nanova.confd"]) {
        let path = folder().join(name);
        for shell in [&["dash"][..], &["bash", "--posix"], &["busybox", "sh"]] {
            let arguments = [&shell[1..], &["-n", path.to_str().unwrap()]].concat();
            assert_eq!(succeed(shell[0], &arguments), "");
        }
    }
}

#[test]
#[ignore = "needs shellcheck"]
fn shellcheck_has_nothing_to_say() {
    for name in SCRIPTS {
        succeed("shellcheck", &[folder().join(name).to_str().unwrap()]);
    }
    // Who reads the variables is OpenRC (SC2034), and its shells have `local` (SC3043).
    for name in ["nanova.initd", "nanova.confd"] {
        succeed("shellcheck", &["-s", "sh", "-e", "SC2034,SC3043", folder().join(name).to_str().unwrap()]);
    }
}

/// systemd-analyze verify of a unit with drop-ins, where there is a /usr/sbin/nanova.
fn verify(unit: &str, name: &str, drop_in: Option<&str>) -> Vec<String> {
    let drop_in = drop_in.map_or_else(String::new, |file| {
        format!("mkdir /run/units/{name}.d; cp $SERVICES/{file} /run/units/{name}.d/\n")
    });
    in_a_system(&format!(
        "mkdir /run/units; ln -s nanova /usr/sbin/nova-agent
        cat >/run/units/{name} <<'END'\n{unit}\nEND
        {drop_in}systemd-analyze verify --man=no /run/units/{name} 2>&1; echo $?"
    ))
}

#[test]
#[ignore = "needs systemd-analyze and user namespaces"]
fn systemd_takes_the_unit() {
    let unit = text("nanova.service");
    assert_eq!(verify(&unit, "nanova.service", None), ["0"]);
    for drop_in in ["no-commands.conf", "lockdown.conf", "no-network.conf"] {
        assert_eq!(verify(&unit, "nanova.service", Some(drop_in)), ["0"], "{drop_in}");
    }
    // The judge can say no.
    let wrong = unit.replace("Type=notify", "Type=nonsense").replace("/usr/sbin/nanova", "/usr/sbin/not-there");
    assert!(verify(&wrong, "nanova.service", None).len() > 1);
}

#[test]
#[ignore = "needs systemd-analyze and user namespaces"]
fn systemd_takes_the_drop_in_for_an_old_unit() {
    let command = "nova-agent -n -o /var/log/nova-agent.log -l info /usr/share/nova-agent/nova-agent.py";
    let unit = format!("[Unit]\nDescription=old\n[Service]\nExecStart=/usr/sbin/{command}\n");
    assert_eq!(verify(&unit, "nova-agent.service", Some("nova-agent.conf")), ["0"]);
}

#[test]
#[ignore = "needs systemd-analyze"]
fn systemd_rates_the_sandbox_as_the_readme_says() {
    let home = tempfile::tempdir().unwrap();
    let unit = home.path().join("nanova.service");
    fs::copy(folder().join("nanova.service"), &unit).unwrap();
    let rate = || {
        let printed = succeed("systemd-analyze", &["security", "--offline=true", "--no-pager", unit.to_str().unwrap()]);
        let (_, rating) = printed.rsplit_once("level for nanova.service: ").unwrap();
        rating.split(' ').next().unwrap().to_owned()
    };
    let with_commands = rate();
    let drop_ins = home.path().join("nanova.service.d");
    fs::create_dir(&drop_ins).unwrap();
    let with = |names: &[&str]| {
        for name in names {
            fs::copy(folder().join(name), drop_ins.join(name)).unwrap();
        }
        let rating = rate();
        names.iter().for_each(|name| fs::remove_file(drop_ins.join(name)).unwrap());
        rating
    };
    let without = with(&["no-commands.conf"]);
    let (locked, alone) = (with(&["lockdown.conf"]), with(&["lockdown.conf", "no-network.conf"]));
    let says = format!(
        "rates it {with_commands}, {without} with [no-commands.conf](no-commands.conf), {locked} with \
         [lockdown.conf](lockdown.conf) and {alone} with [no-network.conf](no-network.conf) beside that"
    );
    println!("systemd-analyze {says}");
    let page = text("README.md").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.contains(&says), "README.md does not say {says:?}");
    for (rating, most) in [(with_commands, 5.0), (without, 4.0), (locked, 2.4), (alone, 2.0)] {
        assert!(rating.parse::<f32>().unwrap() <= most, "{rating}");
    }
}

#[test]
#[ignore = "needs systemctl"]
fn what_the_removal_of_its_predecessors_disables_is_not_nanova() {
    let home = tempfile::tempdir().unwrap();
    let root = systemd_root(home.path());
    let units = home.path().join("usr/lib/systemd/system");
    let link = home.path().join("etc/systemd/system/multi-user.target.wants/nanova.service");
    let is_enabled = || fs::read_link(&link).is_ok_and(|to| to.ends_with("usr/lib/systemd/system/nanova.service"));
    for old in ["nova-agent", "xe-daemon", "xe-linux-distribution"] {
        let unit = units.join(format!("{old}.service"));
        let text = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n";
        // Whichever was there first, and whether the package's unit is still there when its script runs.
        for (nanova_first, gone) in [(true, false), (false, false), (true, true), (false, true)] {
            fs::write(&unit, text).unwrap();
            let order = if nanova_first { ["nanova", old] } else { [old, "nanova"] };
            for name in order {
                succeed("systemctl", &["--root", &root, "enable", name]);
            }
            if gone {
                fs::remove_file(&unit).unwrap();
            }
            // As the package's script does, whatever it answers.
            let _ = std::process::Command::new("systemctl").args(["--root", &root, "disable", old]).output().unwrap();
            assert!(is_enabled(), "removing {old} has taken nanova with it");
            succeed("systemctl", &["--root", &root, "disable", "nanova.service"]);
            assert!(!is_enabled());
        }
    }
}

#[test]
#[ignore = "needs systemd-analyze and user namespaces"]
fn a_unit_of_ones_own_is_ordered_after_it_by_a_drop_in() {
    let unit = "[Unit]\nDescription=own\nAfter=xe-linux-distribution.service\n[Service]\nExecStart=/usr/sbin/nanova\n";
    assert_eq!(verify(unit, "own.service", Some("ordered-after-nanova.conf")), ["0"]);
}

/// Links that insserv makes among these scripts: `S05name` below `rc2.d`.
fn insserv(more: &str) -> Vec<String> {
    in_a_system(&format!(
        "cd /run; for level in 0 1 2 3 4 5 6 S; do mkdir -p root/rc$level.d; done; mkdir root/init.d deps
        script() {{
            printf '#!/bin/sh\\n### BEGIN INIT INFO\\n# Provides: %s\\n# Required-Start: %s\\n# Required-Stop: %s\\n' \\
                \"$2\" \"$3\" \"$3\"
            printf '# Default-Start: %s\\n# Default-Stop: 0 6\\n### END INIT INFO\\n' \"$4\"
        }} >root/init.d/$1
        install -m 755 $SERVICES/nanova.lsb root/init.d/nanova
        script mountall.sh mountall '' S; script udev udev '' S
        script networking networking '$local_fs' S; script cloud-init-local cloud-init-local '$local_fs' '2 3 4 5'
        script cloud-init cloud-init '$network cloud-init-local' '2 3 4 5'
        script xe-linux-distribution xe-linux-distribution '$local_fs' '2 3 4 5'
        script older older nova-agent '2 3 4 5'
        {more}
        chmod 755 root/init.d/*
        insserv -p $PWD/root/init.d -c /etc/insserv.conf -i $PWD/deps -o $PWD/no -d $(ls root/init.d) 2>&1; echo $?
        ls -d root/rc*/* | sed 's,root/,,'"
    ))
}

#[test]
#[ignore = "needs insserv and user namespaces"]
fn insserv_starts_it_before_the_network() {
    let links = insserv("");
    assert_eq!(links[0], "0", "insserv has nothing to say: {links:?}");
    let number = |folder: &str, name: &str| -> u32 {
        let of = |link: &String| link.strip_prefix(folder)?.strip_suffix(name)?.strip_prefix(['S', 'K'])?.parse().ok();
        links.iter().find_map(of).unwrap_or_else(|| panic!("no {name} in {folder}: {links:?}"))
    };
    assert!(number("rcS.d/", "mountall.sh") < number("rcS.d/", "nanova"));
    assert!(number("rcS.d/", "nanova") < number("rcS.d/", "networking"));
    assert!(number("rc2.d/", "nanova") < number("rc2.d/", "cloud-init-local"));
    assert!(number("rc2.d/", "nanova") < number("rc2.d/", "older"));
    for folder in ["rc0.d/", "rc1.d/", "rc6.d/"] {
        number(folder, "nanova");
    }
}

#[test]
#[ignore = "needs insserv and user namespaces"]
fn insserv_refuses_two_agents_as_the_readme_says() {
    let said = insserv("script nova-agent nova-agent '$local_fs' '2 3 4 5'");
    assert!(said.iter().any(|line| line.contains("service nova-agent already provided")), "{said:?}");
}

/// Update-rc.d of a System V system asks insserv; of any other it makes no links, but complains about what is missing.
#[test]
#[ignore = "needs update-rc.d and user namespaces"]
fn update_rc_d_misses_nothing() {
    let said = in_a_system(
        "install -m 755 $SERVICES/nanova.lsb /etc/init.d/nanova; mkdir -p /etc/rcS.d /etc/rc2.d
        update-rc.d nanova defaults 2>&1; echo $?; ls /etc/rcS.d /etc/rc2.d | grep nanova | sort -u",
    );
    assert_eq!((said[0].as_str(), said.len()), ("0", 2), "{said:?}");
    assert!(said[1].starts_with('S'), "{said:?}");
}

/// By chkconfig(8): levels, a start and a stop priority; a description. Red Hat's network is at 10 and 90.
#[test]
fn chkconfig_finds_its_line_and_the_same_levels_twice() {
    let script = text("nanova.lsb");
    let value = |key: &str| script.lines().find_map(|line| line.strip_prefix(&format!("# {key}:"))).unwrap().trim();
    let fields: Vec<&str> = value("chkconfig").split(' ').collect();
    let [levels, start, stop] = fields[..] else { panic!("{fields:?}") };
    assert!(start.parse::<u8>().unwrap() < 10 && stop.parse::<u8>().unwrap() > 90);
    // It reads numbers until something is none.
    let numbers: String = value("Default-Start").split(' ').take_while(|level| level.parse::<u8>().is_ok()).collect();
    assert_eq!(numbers, levels);
    assert!(!value("description").is_empty());
    let name_of_one_word = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    assert!(value("Provides").split(' ').all(name_of_one_word));
}

#[test]
fn all_of_them_start_the_same_program() {
    for name in ["nanova.service", "nanova.initd", "nanova.lsb", "runit/run", "s6/run"] {
        let text = text(name);
        assert!(text.contains("/usr/sbin/nanova") && text.contains("NANOVA_OPTIONS"), "{name}");
    }
}
