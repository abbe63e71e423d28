//! `sealed`: any other command, and its answer, encrypted and authenticated under a key of this session's. SEALED.md,
//! in `core/src/secret/`, specifies what hosts send.
//!
//! A session begins with a `keyinit` whose value is an object. It ends with the next `keyinit`, an hour after its last
//! request, and with the agent. What is sealed is run as the command in it: the list of disabled commands holds for it,
//! and the log has its name, marked as sealed, and never its argument. A command whose own answer is `sealed` or
//! `keyinit` is refused inside.
//!
//! Each refusal is an answer; of one whose session there is none, it is not sealed.

use core::fmt;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::commands::disabled::is_disabled;
use crate::commands::response::{Code, END, Json, RESPONSE_MAX, Response, START};
use crate::platform::{Clock, Entropy, Files, Log};
use crate::secret::exchange::BadPublicKey;
use crate::secret::group::{GROUP, LongKeyPair, NUMBER_LEN, Number, PRIVATE_LEN};
use crate::secret::sealed::{COUNTER_LEN, Keys, NUMBER_BASE64, Refused, Window, frame_len, longest_message};
use crate::secret::with_wiped_stack;
use crate::wire::errno::Errno;
use crate::wire::json::walk::member;
use crate::wire::json::{Text, Value};

/// What hosts call it.
pub const SEALED: &str = "sealed";
/// How long a session stays without a request, in milliseconds.
pub const UNUSED_MS: u64 = 60 * 60 * 1000;
/// What a request is answered with whose session is not known.
pub const NO_SESSION: Code = Code::Site(*b"401\0");

/// The longest answer that is sealed; a longer one is shortened as it is where it is not sealed.
pub(crate) const ANSWER_MAX: usize = longest_message(RESPONSE_MAX - START.len() - END.len());

/// Which request of which session is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reply {
    session: u32,
    counter: u64,
}

/// A session, if there is one, and the request in hand.
pub struct Sealed {
    is_there: bool,
    keys: Keys,
    window: Window,
    /// How many there were, modulo 2^32.
    number: u32,
    /// When it ends, if it is there.
    end_at: u64,
    /// The sealed request that is being run, if it is one.
    reply: Option<Reply>,
}

impl Sealed {
    /// No session.
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub const fn new() -> Sealed {
        Sealed { is_there: false, keys: Keys::NONE, window: Window::new(), number: 0, end_at: 0, reply: None }
    }

    /// Ends the session.
    pub fn end(&mut self) {
        if core::mem::take(&mut self.is_there) {
            // Where they are: moved away before, they would leave their bytes behind.
            self.keys.wipe();
        }
    }

    /// Ends a session that was not used for [`UNUSED_MS`]. Returns when to ask again, if there is one.
    pub fn end_unused(&mut self, now: u64) -> Option<u64> {
        if now >= self.end_at {
            self.end();
        }
        self.is_there.then_some(self.end_at)
    }

    /// `keyinit` with an object: takes the host's public key and answers with ours.
    pub fn keyinit<P: Entropy + Files + Clock + Log>(&mut self, object: &str, platform: &mut P) -> Response {
        self.end();
        if is_disabled(platform, SEALED) {
            return NoKey::Disabled.response();
        }
        let mut public = [0; NUMBER_LEN];
        if let Err(error) = with_wiped_stack(|| self.agree(object, platform, &mut public)) {
            self.keys.wipe();
            return error.response();
        }
        (self.is_there, self.window) = (true, Window::new());
        self.number = self.number.wrapping_add(1);
        self.end_at = platform.uptime_ms().saturating_add(UNUSED_MS);
        let mut room = [0; NUMBER_BASE64];
        Response::new(Code::KeyReady, format_args!("{}", Base64::encode(&public, &mut room).unwrap_or_default()))
    }

    #[inline(never)]
    fn agree<P: Entropy>(&mut self, object: &str, platform: &mut P, public: &mut Number) -> Result<(), NoKey> {
        let text = |name| match member(object, &[name]).map(Value::of) {
            Some(Value::Text(text)) => text,
            _ => Text::EMPTY,
        };
        if text("group").plain() != Some(GROUP) {
            return Err(NoKey::Group);
        }
        let mut room = [0; NUMBER_BASE64];
        let host = text("public").base64(&mut room).and_then(|bytes| bytes.try_into().ok());
        let host: &Number = host.ok_or(NoKey::Public(BadPublicKey))?;
        let mut random = Zeroizing::new([0; PRIVATE_LEN]);
        platform.random(&mut random[..]).map_err(NoKey::Random)?;
        let pair = LongKeyPair::new(&random);
        let mut shared = Zeroizing::new([0; NUMBER_LEN]);
        pair.agree(host, &mut shared).map_err(NoKey::Public)?;
        pair.public(public);
        self.keys.derive(&shared, host, public);
        Ok(())
    }

    /// Opens a request, from base64 on, in its place. Until [`Sealed::write`] it is the one in hand.
    pub fn open<'v>(&mut self, value: Option<&'v mut [u8]>, now: u64) -> Result<&'v mut [u8], Refused> {
        self.end_unused(now);
        if !self.is_there {
            return Err(Refused::NoSession);
        }
        with_wiped_stack(|| self.open_frame(value.unwrap_or_default(), now))
    }

    #[inline(never)]
    fn open_frame<'v>(&mut self, value: &'v mut [u8], now: u64) -> Result<&'v mut [u8], Refused> {
        let len = Base64::decode_in_place(value).map_err(|_| Refused::NoFrame)?.len();
        let frame = value.get_mut(..len).ok_or(Refused::NoFrame)?;
        let counter = self.keys.to_guest.check(frame)?;
        self.window.take(counter)?;
        self.end_at = now.saturating_add(UNUSED_MS);
        self.reply = Some(Reply { session: self.number, counter });
        self.keys.to_guest.decrypt(counter, frame)
    }

    /// Whether the command that is being run came sealed.
    pub fn is_in_hand(&self) -> bool {
        self.reply.is_some()
    }

    /// The request in hand is none any more: it is answered later. Returns what its answer needs.
    pub fn put_aside(&mut self) -> Option<Reply> {
        self.reply.take()
    }

    /// One that was put aside is in hand again.
    pub fn take_up(&mut self, reply: Option<Reply>) {
        self.reply = reply;
    }

    /// The request in hand was not run: it may come again.
    pub fn give_back(&mut self) {
        if let Some(reply) = self.reply.take() {
            self.window.give_back(reply.counter);
        }
    }

    /// Writes the response to the request in hand, sealed if that is. `plain` writes it with so many bytes at the most.
    pub fn write(&mut self, json: &mut Json, plain: &dyn Fn(usize, &mut Json)) {
        let Some(reply) = self.reply.take() else { return plain(RESPONSE_MAX, json) };
        if !self.is_there || reply.session != self.number {
            return ended_before().to_json(RESPONSE_MAX, json);
        }
        plain(ANSWER_MAX, json);
        let mut frame = Zeroizing::new([0; frame_len(ANSWER_MAX)]);
        if let Some(place) = frame.get_mut(COUNTER_LEN..COUNTER_LEN + json.len()) {
            place.copy_from_slice(json);
        }
        let len = with_wiped_stack(|| self.keys.to_host.seal(reply.counter, &mut frame[..], json.len()));
        let frame = len.and_then(|len| frame.get(..len)).unwrap_or_default();
        // It fits: [`ANSWER_MAX`] leaves room for it. What was in clear is overwritten: a frame is longer.
        Response::write_base64(frame, json);
    }
}

impl Default for Sealed {
    fn default() -> Self {
        Self::new()
    }
}

/// What a sealed request is answered that was begun, and whose session is gone.
#[inline(never)]
fn ended_before() -> Response {
    let text = format_args!("the session ended before this sealed request did; the guest's log says how it went");
    Response::new(NO_SESSION, text)
}

/// The response to a request that an agent ended with while it was under way, of the next one. That of a sealed one has
/// no session for it any more, and cannot say that nothing was run.
pub(crate) fn begun_before(response: Response) -> Response {
    if response.code == NO_SESSION { ended_before() } else { response }
}

/// What a sealed request is answered that holds what none may hold.
pub fn refuse_inside() -> Response {
    Response::failed(format_args!("neither sealed nor keyinit may come in a sealed request; send it by itself"))
}

/// Why there is no session.
enum NoKey {
    /// The site wants none.
    Disabled,
    /// It is another group's.
    Group,
    /// The host's half cannot be one.
    Public(BadPublicKey),
    /// The kernel gives no random bytes.
    Random(Errno),
}

impl NoKey {
    #[inline(never)]
    fn response(&self) -> Response {
        Response::failed(format_args!("{self}"))
    }
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoKey::Disabled => f.write_str("sealed requests are disabled here (sealed in /etc/nanova/disable)"),
            NoKey::Group => write!(f, "an object with group and public is needed; the only group is {GROUP}"),
            NoKey::Public(BadPublicKey) => {
                f.write_str("Invalid public key: base64 of 256 bytes is needed, a number above 1 and below p - 1")
            }
            NoKey::Random(errno) => write!(f, "no randomness for a key: {errno}"),
        }
    }
}
