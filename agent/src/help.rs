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

const NANOVA: &str = "\
nanova: the guest agent of Xen virtual machines

  nanova agent            serve the host's commands from data/host, for ever
  nanova network          apply vm-data's hostname and network once
  nanova report           publish what toolstacks show of a guest; the agent does, too
  nanova init             be the first process (also as init)
  nanova status           one page: what the host says, what is published, and why not
  nanova xenstore TOOL …  read and write xenstore
  nanova --version, nanova COMMAND --help

Options of agent, network, report and xenstore:
  --xenbus PATH           device or socket; default: /dev/xen/xenbus, /proc/xen/xenbus,
                          $XENSTORED_PATH, /run/xenstored/socket, /var/run/xenstored/socket
  --root DIR              the guest's files are below DIR
  -l, --loglevel LEVEL    error, warn, info (default), debug, trace; -q, --quiet: none
  -o, --logfile FILE|-|kmsg|syslog
Exit codes: 0 done, 1 failed, 2 usage, 77 not a Xen guest
";

const AGENT: &str = "\
nanova agent [options]    (also as nova-agent)

  --once                  serve what is pending, then exit
  --wait SECONDS          for xenstore to appear; default: for ever
  --network files|kernel|both|off  what resetnetwork changes
  --no-metrics            publish nothing about the guest
  --metrics-interval SECONDS  between looks at memory and volumes; default 60, 0: never
  -p PIDFILE              where to leave the process's number
As nova-agent it goes to the background, but for -n, --nofork, --no-fork true.
SIGTERM ends it, SIGHUP reopens the log file.
";

const REPORT: &str = "\
nanova report [options]   (also as xe-daemon, with -p PIDFILE, -i SECONDS)

  --once                  publish once, then exit
  --wait SECONDS          for xenstore to appear; default: for ever
  --metrics-interval SECONDS  between looks at memory and volumes; default 60, 0: never
";

const NETWORK: &str = "\
nanova network [options]

  --network files|kernel|both
  --style STYLE           ifupdown, netplan, networkd, keyfile, ifcfg, suse, netifrc, netctl, none;
                          default: what the guest has
  --handover STYLE[,…]    files in /run for the real root: klibc, networkd, keyfile, netplan
  --wait SECONDS          for xenstore and the interfaces; default: for ever, and those there now
  --dry-run               print the plan and the files
";

const XENSTORE: &str = "\
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
";
