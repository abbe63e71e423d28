//! The service files, and this machine as a system of its own to try them in; nothing on the machine changes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Below which nothing says how the agent is started but the files under test.
const PRELUDE: &str = r#"
home=$(mktemp -d)
mount -t tmpfs home "$home"
for top in usr etc; do
    mkdir "$home/$top" "$home/$top.work"
    mount -t overlay overlay -o "lowerdir=/$top,upperdir=$home/$top,workdir=$home/$top.work" "/$top"
done
mount -t tmpfs run /run
mount -t tmpfs init.d /etc/init.d
mkdir -p /run/xenstored
touch /run/xenstored/socket
cat >/usr/sbin/nanova <<'END'
#!/bin/sh
echo "$$ $*" >>/run/agents
trap 'echo stopped >>/run/agents; exit 0' TERM
trap 'echo reopened >>/run/agents' HUP
[ ! -e /run/end-with ] || exit "$(cat /run/end-with)"
while :; do sleep 0.1; done
END
chmod 755 /usr/sbin/nanova
: >/run/agents
agents() { grep -c agent /run/agents; }
latest() { sed -n 's/ agent.*//p' /run/agents | tail -n 1; }
# Tries a command for ten seconds.
until_ok() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { echo "in vain: $*" >&2; exit 9; }
        sleep 0.1
    done
}
started() { [ "$(agents)" -ge "$1" ]; }
ended() { ! kill -0 "$1" 2>/dev/null; }
"#;

/// Where the service files are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("services")
}

/// The text of one of them.
pub(crate) fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

/// Runs a program.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// Runs it; what it printed. It has to succeed.
pub(crate) fn succeed(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a script as the root of a system that is gone afterwards, with all its processes. In it are $SERVICES, and as
/// /usr/sbin/nanova an agent that writes its id and arguments to /run/agents, and `stopped` when it is told to end;
/// with /run/end-with it ends at once with that status. What the script printed, line by line.
pub(crate) fn in_a_system(script: &str) -> Vec<String> {
    let script = format!("set -u\nSERVICES={}\n{PRELUDE}\n{script}", folder().display());
    let own = ["--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", &script];
    let output = run("unshare", &own);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\n{printed}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    printed.lines().map(str::to_owned).collect()
}
