//! The host's side of sealed requests: what nanova-host and the tests speak to the agent. SEALED.md specifies it.
//!
//! The order to call: [`HostExchange::new`] with 32 bytes of the system's secure generator; [`HostExchange::value`] is
//! what `keyinit` is sent; [`HostExchange::agree`] takes the message of its answer, whose return code is `D0`, and
//! gives the session. Then, for each request, [`HostSession::seal`] makes the whole of what is written below
//! `data/host`, and [`HostSession::open`] takes the message of an answer whose return code is `0`.
//!
//! An answer with another return code was not sealed: its message says why the request was refused. `401` is a session
//! that the agent does not know (any more): begin anew, and send the request again. Anybody who may write to xenstore
//! can have written such an answer, so that it proves nothing.

use core::fmt;

use base64ct::{Base64, Encoding};
use heapless::Vec;
use zeroize::Zeroizing;

use super::exchange::BadPublicKey;
use super::group::{GROUP, LongKeyPair, NUMBER_LEN, Number, PRIVATE_LEN};
use super::sealed::{COUNTER_LEN, Keys, NUMBER_BASE64, Refused, frame_len, longest_message};

/// The longest request that a xenstore packet carries when it is sealed, in bytes of JSON.
pub const REQUEST_MAX: usize = longest_message(SEALED_MAX - START.len() - END.len());
/// The longest that is sealed: a packet's 4096 bytes without a path of 128 and its zero byte.
const SEALED_MAX: usize = 4096 - 129;
/// What stands around a frame.
const START: &str = r#"{"name":"sealed","value":""#;
const END: &str = r#""}"#;

/// A sealed request, as it is written below `data/host`.
pub type SealedRequest = Vec<u8, SEALED_MAX>;

/// The host's half of an exchange. Wiped when dropped.
pub struct HostExchange {
    pair: LongKeyPair,
    public: Number,
}

impl HostExchange {
    /// A half made of these random bytes.
    pub fn new(random: &[u8; PRIVATE_LEN]) -> HostExchange {
        let mut exchange = HostExchange { pair: LongKeyPair::new(random), public: [0; NUMBER_LEN] };
        exchange.pair.public(&mut exchange.public);
        exchange
    }

    #[cfg(feature = "measured")]
    pub(super) fn pair(&self) -> &LongKeyPair {
        &self.pair
    }

    /// The value of `keyinit`, as JSON.
    pub fn value(&self) -> heapless::String<512> {
        let (mut room, mut value) = ([0; NUMBER_BASE64], heapless::String::new());
        let public = Base64::encode(&self.public, &mut room).unwrap_or_default();
        // It fits.
        let _ = fmt::Write::write_fmt(&mut value, format_args!(r#"{{"group":"{GROUP}","public":"{public}"}}"#));
        value
    }

    /// The session that the guest's answer makes.
    pub fn agree(&self, message: &str) -> Result<HostSession, BadPublicKey> {
        let (mut guest, mut shared) = ([0; NUMBER_LEN], Zeroizing::new([0; NUMBER_LEN]));
        let len = Base64::decode(message, &mut guest).map_err(|_| BadPublicKey)?.len();
        if len != NUMBER_LEN {
            return Err(BadPublicKey);
        }
        self.pair.agree(&guest, &mut shared)?;
        let mut session = HostSession { keys: Keys::NONE, last: 0 };
        session.keys.derive(&shared, &self.public, &guest);
        Ok(session)
    }
}

/// The public key of a half that was made for one message, and the message; both in base64.
pub type SealedMessage = (heapless::String<NUMBER_BASE64>, heapless::String<MESSAGE_BASE64>);
/// The longest message that [`seal_to`] seals.
const MESSAGE_MAX: usize = 511;
const MESSAGE_BASE64: usize = frame_len(MESSAGE_MAX).div_ceil(3) * 4;

/// Seals a message of at most 511 bytes to the public key of somebody who has none of ours: as a guest seals the answer
/// to request 1 of a session, so that he gives our public key to [`HostExchange::agree`], and the message to
/// [`HostSession::open`]. None if that is no public key, or the message is too long.
pub fn seal_to(public: &str, random: &[u8; PRIVATE_LEN], message: &[u8]) -> Option<SealedMessage> {
    let mut theirs = [0; NUMBER_LEN];
    if Base64::decode(public, &mut theirs).ok()?.len() != NUMBER_LEN {
        return None;
    }
    let (ours, mut shared) = (HostExchange::new(random), Zeroizing::new([0; NUMBER_LEN]));
    ours.pair.agree(&theirs, &mut shared).ok()?;
    let mut keys = Keys::NONE;
    keys.derive(&shared, &theirs, &ours.public);
    let mut frame = Zeroizing::new([0; frame_len(MESSAGE_MAX)]);
    frame.get_mut(COUNTER_LEN..COUNTER_LEN + message.len())?.copy_from_slice(message);
    let len = keys.to_host.seal(1, &mut frame[..], message.len())?;
    let (mut room, mut public, mut sealed) = ([0; MESSAGE_BASE64], heapless::String::new(), heapless::String::new());
    public.push_str(Base64::encode(&ours.public, &mut room).ok()?).ok()?;
    sealed.push_str(Base64::encode(frame.get(..len)?, &mut room).ok()?).ok()?;
    Some((public, sealed))
}

/// A session. Wiped when dropped.
pub struct HostSession {
    keys: Keys,
    /// The counter that was used last.
    last: u64,
}

impl HostSession {
    #[cfg(feature = "measured")]
    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Seals a request, `{"name": …, "value": …}` as JSON: what is to be written below `data/host`, and the counter
    /// that its answer is opened with. None if it is longer than [`REQUEST_MAX`].
    pub fn seal(&mut self, request: &[u8]) -> Option<(u64, SealedRequest)> {
        let mut frame = Zeroizing::new([0; frame_len(REQUEST_MAX)]);
        frame.get_mut(COUNTER_LEN..COUNTER_LEN + request.len())?.copy_from_slice(request);
        let counter = self.last + 1;
        let len = self.keys.to_guest.seal(counter, &mut frame[..], request.len())?;
        self.last = counter;
        let mut sealed = SealedRequest::new();
        sealed.extend_from_slice(START.as_bytes()).ok()?;
        sealed.resize_default(SEALED_MAX).ok()?;
        let len = Base64::encode(frame.get(..len)?, sealed.get_mut(START.len()..)?).ok()?.len();
        sealed.truncate(START.len() + len);
        sealed.extend_from_slice(END.as_bytes()).ok()?;
        Some((counter, sealed))
    }

    /// Opens the message of a sealed answer to the request of this counter: `{"returncode": …, "message": …}` as JSON,
    /// which stands in `room`. That may be as long as the message.
    pub fn open<'r>(&self, counter: u64, message: &str, room: &'r mut [u8]) -> Result<&'r mut [u8], Refused> {
        let len = Base64::decode(message, room).map_err(|_| Refused::NoFrame)?.len();
        let frame = room.get_mut(..len).ok_or(Refused::NoFrame)?;
        // What answers another request is none to this one.
        if self.keys.to_host.check(frame)? != counter {
            return Err(Refused::Replayed);
        }
        self.keys.to_host.decrypt(counter, frame)
    }
}
