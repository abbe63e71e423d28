//! What `--help` shows.

use nanova_core::cli::Topic;

/// The page.
pub(crate) fn text(topic: Topic) -> &'static str {
    match topic {
        Topic::Nanova => NANOVA,
        Topic::Agent => AGENT,
        Topic::Network => NETWORK,
        Topic::Report => REPORT,
        Topic::Xenstore => XENSTORE,
    }
}

/// The length of these parts together.
const fn len(parts: &[&str]) -> usize {
    let (mut len, mut place) = (0, 0);
    while place < parts.len() {
        len += parts[place].len();
        place += 1;
    }
    len
}

/// These parts together.
const fn join<const N: usize>(parts: &[&str]) -> [u8; N] {
    let (mut joined, mut end, mut place) = ([0; N], 0, 0);
    while place < parts.len() {
        let part = parts[place].as_bytes();
        let mut byte = 0;
        while byte < part.len() {
            joined[end] = part[byte];
            (end, byte) = (end + 1, byte + 1);
        }
        place += 1;
    }
    joined
}

/// A page of parts, of which those that this build does not have are empty; put together when it is compiled.
macro_rules! page {
    ($($part:expr),* $(,)?) => {{
        const PARTS: &[&str] = &[$($part),*];
        const PAGE: [u8; len(PARTS)] = join(PARTS);
        match core::str::from_utf8(&PAGE) {
            Ok(page) => page,
            Err(_) => panic!("text and text is text"),
        }
    }};
}

const NANOVA: &str = page!(
    "nanova: the guest agent of Xen virtual machines\n\n",
    if cfg!(feature = "commands") {
        "  nanova agent            serve the host's commands from data/host, for ever\n"
    } else {
        ""
    },
    if cfg!(feature = "network") {
        "  nanova network          apply vm-data's hostname and network once\n"
    } else {
        ""
    },
    if cfg!(feature = "report") {
        "  nanova report           publish what toolstacks show of a guest; the agent does, too\n"
    } else {
        ""
    },
    if cfg!(feature = "init") { "  nanova init             be the first process (also as init)\n" } else { "" },
    if cfg!(feature = "status") {
        "  nanova status           one page: what the host says, what is published, and why not\n"
    } else {
        ""
    },
    if cfg!(feature = "tools") { "  nanova xenstore TOOL …  read and write xenstore\n" } else { "" },
    "\
\x20 nanova --version, nanova COMMAND --help

Options of agent, network, report and xenstore:
  --xenbus PATH           device or socket; default: /dev/xen/xenbus, /proc/xen/xenbus,
                          $XENSTORED_PATH, /run/xenstored/socket, /var/run/xenstored/socket
  --root DIR              the guest's files are below DIR
  -l, --loglevel LEVEL    error, warn, info (default), debug, trace; -q, --quiet: none
  -o, --logfile FILE|-|kmsg|syslog
Exit codes: 0 done, 1 failed, 2 usage, 77 not a Xen guest
",
);

const AGENT: &str = page!(
    "\
nanova agent [options]    (also as nova-agent)

  --once                  serve what is pending, then exit
  --wait SECONDS          for xenstore to appear; default: for ever
",
    if cfg!(feature = "network") { "  --network files|kernel|both|off  what resetnetwork changes\n" } else { "" },
    if cfg!(feature = "report") {
        "  --no-metrics            publish nothing about the guest\n  --metrics-interval SECONDS  between looks at memory and volumes; default 60, 0: never\n"
    } else {
        ""
    },
    "\
\x20 -p PIDFILE              where to leave the process's number
As nova-agent it goes to the background, but for -n, --nofork, --no-fork true.
SIGTERM ends it, SIGHUP reopens the log file.
",
);

const REPORT: &str = page!(
    "\
nanova report [options]   (also as xe-daemon, with -p PIDFILE, -i SECONDS)

  --once                  publish once, then exit
  --wait SECONDS          for xenstore to appear; default: for ever
  --metrics-interval SECONDS  between looks at memory and volumes; default 60, 0: never
"
);

const NETWORK: &str = page!(
    "\
nanova network [options]

  --network files|kernel|both
",
    if cfg!(feature = "managers") {
        "\
\x20 --style STYLE           ifupdown, netplan, networkd, keyfile, ifcfg, suse, netifrc, netctl, none;
                          default: what the guest has
"
    } else {
        ""
    },
    if cfg!(feature = "handover") {
        "\
\x20 --handover STYLE[,…]    files in /run for the real root: klibc, networkd, keyfile, netplan
"
    } else {
        ""
    },
    "\
\x20 --wait SECONDS          for xenstore and the interfaces; default: for ever, and those there now
  --dry-run               print the plan and the files
",
);

const XENSTORE: &str = page!(
    "\
nanova xenstore TOOL …    (also as xenstore-TOOL)

  read [-p] [-R] PATH…    -p with their paths, -R as they are
  write [-R] PATH VALUE … all or none; -R without escapes (\\n, \\x41)
  ls [-f] [-p] [PATH]     -f whole paths, -p permissions
  list [-p] PATH…
  exists PATH…
  rm [-t] PATH…           -t parents left empty, too
  mkdir PATH…
  chmod [-r] [-u] PATH MODE…  owner first: n0 r7; -r all below, -u all above, too
  watch [-n COUNT] PATH…
  -s                      a socket, not the device
Paths without a leading slash are below the domain's own home.
"
);
