//! What `--help` shows.

use nanova_core::cli::Topic;

/// One line.
pub(crate) fn usage(topic: Topic) -> &'static str {
    match topic {
        Topic::Nanova => "usage: nanova agent|network|init|xenstore [options] …, nanova --version, nanova --help",
        Topic::Agent => "usage: nanova agent [options]",
        Topic::Network => "usage: nanova network [options]",
        Topic::Xenstore => "usage: nanova xenstore read|write|ls|list|exists|rm|mkdir|chmod|watch [options] …",
    }
}

/// The page.
pub(crate) fn text(topic: Topic) -> &'static str {
    match topic {
        Topic::Nanova => NANOVA,
        Topic::Agent => AGENT,
        Topic::Network => NETWORK,
        Topic::Xenstore => XENSTORE,
    }
}

const NANOVA: &str = "\
nanova: the guest agent of Xen virtual machines

  nanova agent                serve the host's commands from data/host, for ever
  nanova network              apply vm-data's hostname and network once
  nanova init                 be the first process of an initramfs or a minimal image (also under the name init)
  nanova xenstore TOOL …      read and write xenstore
  nanova --version

Options of agent, network and xenstore:
  --xenbus PATH               device or socket; default: the first of /dev/xen/xenbus, /proc/xen/xenbus,
                              $XENSTORED_PATH, /run/xenstored/socket, /var/run/xenstored/socket
  --root DIR                  the guest's files are below DIR
  -l, --loglevel LEVEL        error, warn, info (default), debug, trace
  -o, --logfile FILE|-|kmsg   default: - (standard error)
  -q, --quiet                 no log
Exit codes: 0 done, 1 failed, 2 usage, 77 not a Xen guest
";

const AGENT: &str = "\
nanova agent [options]        (also under the name nova-agent)

  --once                      serve what is pending, then exit
  --wait SECONDS              wait so long for xenstore to appear; default: for ever
  --network files|kernel|both|off, --no-metrics, --metrics-interval SECONDS
                              accepted; this build has neither network commands nor metrics
As nova-agent it goes to the background, unless -n, --nofork or --no-fork true is given; -p PIDFILE.
SIGTERM ends it, SIGHUP reopens the log file. See nanova --help for the options of all commands.
";

const NETWORK: &str = "\
nanova network [options]      apply vm-data's hostname and network once, then exit

  --network files|kernel|both what is written: files, the kernel's addresses and routes, or both (default)
  --handover STYLE[,STYLE…]   leave files in /run for the real root: klibc, networkd, keyfile, netplan
  --wait SECONDS              bound for the whole; default: for ever
  --dry-run                   print what would be done
";

const XENSTORE: &str = "\
nanova xenstore TOOL [options] (each also under the name xenstore-TOOL)

  read [-p] [-R] PATH…        print values; -p with their paths, -R as they are
  write [-R] PATH VALUE …     write values, all or none; -R without escapes (\\n, \\x41, …)
  ls [-f] [-p] [PATH]         print the tree; -f whole paths, -p permissions
  list [-p] PATH…             print the names of children
  exists PATH…                exit code 0 if all are there
  rm [-t] PATH…               remove; -t parents left empty, too
  mkdir PATH…                 make empty nodes
  chmod [-r] [-u] PATH MODE…  permissions such as n0 r7, owner first; -r all below, -u all above, too
  watch [-n COUNT] PATH…      print events
  -s                          use a socket, not the device
Paths without a leading slash are below the domain's own home.
";
