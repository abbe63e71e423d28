//! A host that does what nova does, on the embedded xenstored.
//!
//! Guarantees: an answer is taken when its node is there; at that moment its request is gone, or the answer is refused.

use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nanova_core::secret::host::{HostExchange, HostSession};
use serde_json::{Value, json};

use crate::nova::{Answer, Digest, Exchange, encrypt, uuid};
use crate::xenstored::{Client, Xenstored};

/// How long nova waits for an ordinary answer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The host's side of one guest.
#[derive(Debug)]
pub struct Host {
    client: Client,
    home: String,
}

impl Host {
    /// The host of the guest that this xenstored has.
    pub fn of(xenstored: &Xenstored) -> Result<Host> {
        let mut host = Host { client: xenstored.host(), home: xenstored.home() };
        host.client.watch(&format!("{}/data/guest", host.home), "answers")?;
        Ok(host)
    }

    /// The connection, for what is not said here.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// The path of a node in the guest's home.
    pub fn path(&self, relative: &str) -> String {
        format!("{}/{relative}", self.home)
    }

    /// Puts a request into the guest's mailbox; any bytes.
    pub fn send(&mut self, id: &str, body: impl AsRef<[u8]>) -> Result<()> {
        let path = self.path(&format!("data/host/{id}"));
        Ok(self.client.write(&path, body)?)
    }

    /// The answer to a request, if it is there. Its request goes right behind it.
    pub fn answer(&mut self, id: &str) -> Result<Option<Answer>> {
        let Some(answer) = self.readable(id)? else { return Ok(None) };
        let (request, end) = (self.path(&format!("data/host/{id}")), Instant::now() + PATIENCE);
        while self.client.get(&request)?.is_some() {
            ensure!(Instant::now() < end, "the answer to {id} is there, and its request stays");
        }
        Ok(Some(answer))
    }

    /// The answer to a request, if it is there, whatever has become of the request.
    pub fn readable(&mut self, id: &str) -> Result<Option<Answer>> {
        let path = self.path(&format!("data/guest/{id}"));
        self.client.get(&path)?.map(|text| Answer::parse(&text)).transpose()
    }

    /// Waits for the answer to a request, and until that is gone.
    pub fn wait_answer(&mut self, id: &str) -> Result<Answer> {
        self.wait(id, Host::answer)
    }

    /// Waits until the answer to a request can be read.
    pub fn wait_readable(&mut self, id: &str) -> Result<Answer> {
        self.wait(id, Host::readable)
    }

    fn wait(&mut self, id: &str, look: fn(&mut Host, &str) -> Result<Option<Answer>>) -> Result<Answer> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = look(self, id)? {
                return Ok(answer);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.client.wait_event(left)?.is_none() {
                bail!("no answer to {id} within {} s", PATIENCE.as_secs());
            }
        }
    }

    /// Sends a request's raw bytes and waits for the answer.
    pub fn ask_raw(&mut self, body: impl AsRef<[u8]>) -> Result<Answer> {
        let id = uuid()?;
        self.send(&id, body)?;
        self.wait_answer(&id)
    }

    /// Sends a command and waits for the answer.
    pub fn ask(&mut self, name: &str, value: impl Into<Value>) -> Result<Answer> {
        self.ask_raw(json!({ "name": name, "value": value.into() }).to_string())
    }

    /// Begins a session of sealed requests.
    pub fn begin_session(&mut self) -> Result<HostSession> {
        let mut random = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        self.begin_session_of(&HostExchange::new(&random))
    }

    /// The same with this half of the exchange.
    pub fn begin_session_of(&mut self, exchange: &HostExchange) -> Result<HostSession> {
        let answer = self.ask_raw(format!(r#"{{"name":"keyinit","value":{}}}"#, exchange.value()))?;
        ensure!(answer.code == "D0", "keyinit was answered with {}: {}", answer.code, answer.message);
        exchange.agree(&answer.message).map_err(|_| anyhow!("no public key: {}", answer.message))
    }

    /// Sends a sealed command and waits for the answer; returns what is in that.
    pub fn ask_sealed(&mut self, session: &mut HostSession, name: &str, value: impl Into<Value>) -> Result<Answer> {
        let request = json!({ "name": name, "value": value.into() }).to_string();
        let (counter, sealed) = session.seal(request.as_bytes()).context("the request is too long to be sealed")?;
        let answer = self.ask_raw(&sealed)?.ok()?;
        let mut room = vec![0; answer.len()];
        let opened = session.open(counter, &answer, &mut room).map_err(|why| anyhow!("{why}"))?;
        Answer::parse(std::str::from_utf8(opened)?)
    }

    /// Exchanges keys; returns the pass phrase.
    pub fn exchange_keys(&mut self) -> Result<String> {
        let exchange = Exchange::new()?;
        let theirs = self.ask("keyinit", exchange.public())?;
        ensure!(theirs.code == "D0", "keyinit was answered with {}: {}", theirs.code, theirs.message);
        exchange.secret(&theirs.message)
    }

    /// Sets root's password as nova does: exchanges keys, encrypts with a newline behind it, sends.
    pub fn set_password(&mut self, password: &str, digest: Digest) -> Result<Answer> {
        let secret = self.exchange_keys()?;
        self.ask("password", encrypt(format!("{password}\n").as_bytes(), &secret, digest)?)
    }
}
