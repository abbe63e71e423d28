//! nanova's xenstore tools beside Debian's, in dom0, on a real xenstored.
//!
//! Guarantees: standard output byte for byte, exit status, whether there is a complaint, and the tree left behind are
//! the same. Refuses to compare the wording of complaints.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::bench::Bench;
use super::super::dom0::Dom0;
use super::super::report::Outcome;
use super::passed;

/// What only looks; `x NAME …` is xenstore-NAME. All of them run on the same [`TREE`]. Wrong usage is left out: nanova
/// ends with 2 there, by its own contract, and Debian's tools with 1.
const LOOKING: &[&str] = &[
    "x ls /bench",
    "x ls -f /bench",
    "x ls -p /bench",
    "x ls -fp /bench",
    "x ls /bench/none",
    "x list /bench",
    "x list -p /bench/a",
    "x list /bench/none",
    "x read /bench/plain",
    "x read /bench/plain /bench/a/b",
    "x read -p /bench/plain",
    "x read /bench/binary",
    "x read -R /bench/binary",
    "x read /bench/empty",
    "x read /bench/none",
    "x read /bench/plain /bench/none",
    "x exists /bench/plain",
    "x exists /bench/none",
    "x exists /bench/plain /bench/none",
    "x watch -n 1 /bench/plain",
];

/// What changes the tree; each runs on a fresh one, and the tree it leaves counts too.
const CHANGING: &[&str] = &[
    "x write /bench/new value",
    "x write /bench/deep/er/still 'two words' /bench/plain ''",
    r"x write -R /bench/new 'a\x41\n\\b'",
    r"x write /bench/new 'a\x41\n\\b\077'",
    "x rm /bench/a",
    "x rm /bench/none",
    "x rm /bench/none/at/all",
    "x rm -t /bench/lonely/only/child",
    "x chmod /bench/plain n0 r1 b2 w3",
    "x chmod -r /bench/a b0 r0",
    "x chmod -u /bench/plain n2",
    "x chmod /bench/none n0",
    WATCH,
];

/// Changes the tree when the watches are set: each has fired once by then.
const WATCH: &str =
    "mkfifo /tmp/events; x watch -n 3 /bench/a /bench/plain >/tmp/events & exec 5</tmp/events; rm /tmp/events
    for number in 1 2; do read -r event <&5; echo \"$event\"; done; xenstore-write /bench/a/b/c 1; cat <&5; wait $!";

/// Values with everything in them that tools like to stumble over.
const TREE: &str = r"xenstore-rm /bench 2>/dev/null
xenstore-write /bench/plain 'a value' /bench/empty '' /bench/a/b 1 /bench/a/c 2 /bench/lonely/only/child x &&
    xenstore-write /bench/binary 'tab\tnewline\nnul\x00high\xffback\\quote\x22' && xenstore-chmod /bench/a/b r0 w0 || exit 99";

/// The ways to call a tool: Debian's own first, then both of nanova's names for it.
const WAYS: [(&str, &str); 3] = [
    ("Debian", "name=$1; shift; xenstore-$name \"$@\""),
    ("nanova xenstore …", "/tmp/tools/nanova xenstore \"$@\""),
    ("nanova as xenstore-…", "name=$1; shift; /tmp/tools/xenstore-$name \"$@\""),
];

/// Where one script is given up: a tool that hangs is a difference.
const LIMIT: Duration = Duration::from_secs(300);
/// Stands between the outcomes of two calls.
const MARK: &str = "\n-- next --\n";

/// Every call gives the same with both, under both ways of calling nanova.
pub(super) fn same_as_debian(bench: &mut Bench<'_>) -> Result<Outcome> {
    let dom0 = &mut bench.dom0;
    dom0.sh("mkdir -p /tmp/tools && cp /lab/images/nanova /tmp/tools/nanova && cd /tmp/tools &&
         for name in ls list read write rm chmod exists watch; do ln -sf nanova xenstore-$name; done")?;
    let mut differences = compare(dom0, LOOKING, &LOOKING.join("\n"))?;
    for script in CHANGING {
        differences += &compare(dom0, &[script], script)?;
    }
    ensure!(differences.is_empty(), "not the same as Debian's tools:\n{differences}");
    passed(format!("{} calls, {} names each", LOOKING.len() + CHANGING.len(), WAYS.len() - 1))
}

/// Runs `scripts` every way on a fresh tree; what came out differently, for people.
fn compare(dom0: &mut Dom0, scripts: &[&str], what: &str) -> Result<String> {
    let mut outcomes = Vec::new();
    for (name, way) in WAYS {
        outcomes.push(outcome(dom0, way, scripts).with_context(|| format!("{name}: {what}"))?);
    }
    let mut differences = String::new();
    for ((name, _), ours) in WAYS.iter().zip(&outcomes).skip(1) {
        for (number, theirs) in outcomes[0].iter().enumerate() {
            let ours = ours.get(number).map_or("nothing: it hung or the shell died", String::as_str);
            if ours != theirs {
                let script = scripts.get(number).unwrap_or(&"the tree afterwards");
                differences += &format!("{name}: {script}\n  gives  {ours:?}\n  Debian {theirs:?}\n");
            }
        }
    }
    Ok(differences)
}

/// What each call printed, its status and whether it complained; last, the tree left behind.
fn outcome(dom0: &mut Dom0, way: &str, scripts: &[&str]) -> Result<Vec<String>> {
    let mut run = format!("x() {{ {way}\n}}\n{TREE}\n");
    for script in scripts {
        run += &format!("({script}) 2>/tmp/said; echo \"status $?\"; [ ! -s /tmp/said ] || echo complained\n");
        run += &format!("printf '{}'\n", MARK.replace('\n', "\\n"));
    }
    run += "xenstore-ls -fp /bench\n";
    let reply = dom0.try_sh(&run, LIMIT)?;
    ensure!(reply.status != 99, "dom0 cannot make the tree: {}", String::from_utf8_lossy(&reply.stderr));
    Ok(String::from_utf8_lossy(&reply.stdout).split(MARK).map(str::to_owned).collect())
}
