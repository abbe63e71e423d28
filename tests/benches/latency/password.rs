//! A password change beside crypt(3) of the C library, for the same hash with the same rounds; and the exchange of keys
//! before it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nanova_tests::nova::{Digest, Exchange, encrypt};
use serde_json::json;

use crate::side::{Side, Way, Who, id, micros};
use crate::table::Samples;

const ROUNDS: usize = 40;
const PASSWORD: &str = "correct horse";

/// In microseconds, until the answer can be read.
#[derive(Default)]
pub(crate) struct Change {
    pub(crate) exchange: Samples,
    pub(crate) password: Samples,
    pub(crate) crypt: Samples,
}

/// Changes root's password again and again.
pub(crate) fn change() -> Result<Change> {
    let mut side = Side::new(Who::Nanova, Way::Socket, 0)?;
    let (mut crypt, mut change) = (Crypt::new()?, Change::default());
    for number in 0..ROUNDS {
        let exchange = Exchange::new()?;
        let (theirs, time) = ask(&mut side, &id(2 * number), "keyinit", exchange.public())?;
        change.exchange.add(time);
        let value = encrypt(format!("{PASSWORD}\n").as_bytes(), &exchange.secret(&theirs)?, Digest::Sha256)?;
        let (_, time) = ask(&mut side, &id(2 * number + 1), "password", value)?;
        change.password.add(time);
        let field = side.root.shadow_of_root().swap_remove(1);
        let (hash, time) = crypt.time(&field)?;
        ensure!(hash == field, "crypt(3) makes {hash} of it, nanova {field}");
        change.crypt.add(time);
    }
    Ok(change)
}

/// The answer's message, and how long it took.
fn ask(side: &mut Side, id: &str, name: &str, value: String) -> Result<(String, f64)> {
    side.rest()?;
    let start = Instant::now();
    side.host.send(id, json!({ "name": name, "value": value }).to_string())?;
    let answer = side.host.wait_readable(id)?;
    let time = micros(start.elapsed());
    ensure!(matches!(&*answer.code, "0" | "D0"), "{name} was answered with {}: {}", answer.code, answer.message);
    side.tidy(id)?;
    Ok((answer.message, time))
}

/// A perl that calls crypt(3) and takes the time of the call alone.
struct Crypt {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

const SCRIPT: &str = r#"$| = 1;
while (<STDIN>) {
    chomp;
    my ($password, $field) = split /\t/;
    my $start = clock_gettime(CLOCK_MONOTONIC);
    my $hash = crypt($password, $field);
    printf "%.3f\t%s\n", 1e6 * (clock_gettime(CLOCK_MONOTONIC) - $start), $hash;
}"#;

impl Crypt {
    fn new() -> Result<Crypt> {
        let mut command = Command::new("perl");
        command.args(["-MTime::HiRes=clock_gettime,CLOCK_MONOTONIC", "-e", SCRIPT]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start perl")?;
        let to = child.stdin.take().context("a pipe")?;
        let from = BufReader::new(child.stdout.take().context("a pipe")?);
        Ok(Crypt { child, to, from })
    }

    /// The hash, and how long it took.
    fn time(&mut self, field: &str) -> Result<(String, f64)> {
        writeln!(self.to, "{PASSWORD}\t{field}")?;
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        let (time, hash) = line.trim_end().split_once('\t').context("perl says nothing")?;
        Ok((hash.to_owned(), time.parse()?))
    }
}

impl Drop for Crypt {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
