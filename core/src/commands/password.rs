//! `keyinit` and `password`: agree on a key, then set root's password under it.

use core::fmt;

use crate::account::{AccountError, set_root_password};
use crate::commands::disabled::is_disabled;
use crate::commands::response::{Code, Response};
use crate::files::replace::warn_of;
use crate::platform::{Clock, Entropy, Files, Log, Unsynced};
use crate::secret::cipher::CipherError;
use crate::secret::exchange::{BadPublicKey, Decimal, RANDOM_LEN};
use crate::secret::{KeyPair, Password, SharedSecret, with_wiped_stack};
use crate::wire::errno::Errno;
use crate::wire::json::{Text, Value};
use zeroize::Zeroize;

/// What a list of disabled commands calls passwords whose key was derived with MD5.
const MD5: &str = "md5";
/// The same for the exchange over the group of 107 bits.
const KEYINIT_107: &str = "keyinit-107";

/// How long a key waits for its password, in milliseconds. The host sends it at once, and gives up after half a minute.
pub const UNUSED_MS: u64 = 5 * 60 * 1000;

/// The key that was agreed on and not used yet. At most one: a new exchange replaces it, a use wipes it, and so does
/// time ([`UNUSED_MS`]).
#[derive(Default)]
pub struct Exchange {
    secret: Option<SharedSecret>,
    /// When it is forgotten, if there is one.
    forget_at: u64,
}

impl Exchange {
    /// No key.
    pub const fn new() -> Exchange {
        Exchange { secret: None, forget_at: 0 }
    }

    /// Forgets a key that was not used in time. Returns when to ask again, if there is one: in milliseconds of
    /// [`Clock::uptime_ms`], as `now` is.
    pub fn forget_unused(&mut self, now: u64) -> Option<u64> {
        if now >= self.forget_at {
            self.secret = None;
        }
        self.secret.as_ref().map(|_| self.forget_at)
    }

    /// Forgets the key, if there is one.
    #[cfg(feature = "sealed")]
    pub(crate) fn forget(&mut self) {
        self.secret = None;
    }

    /// `keyinit`: takes the host's public key (decimal text, or a bare number as very old hosts write it) and answers
    /// with ours.
    pub fn keyinit<P: Entropy + Files + Clock + Log>(&mut self, value: Value<'_>, platform: &mut P) -> Response {
        self.secret = None;
        if is_disabled(platform, KEYINIT_107) {
            return Response::failed(format_args!(
                "the key exchange over 107 bits is disabled here ({KEYINIT_107} in /etc/nanova/disable)"
            ));
        }
        self.forget_at = platform.uptime_ms().saturating_add(UNUSED_MS);
        match with_wiped_stack(|| self.agree(value, platform)) {
            Ok(public) => Response::new(Code::KeyReady, format_args!("{}", public.as_str())),
            Err(error) => Response::failed(format_args!("{error}")),
        }
    }

    /// Keeps the key and returns what the host has to know to compute it, too.
    #[inline(never)]
    fn agree<P: Entropy>(&mut self, value: Value<'_>, platform: &mut P) -> Result<Decimal, NoKey> {
        let public = match value {
            Value::Text(text) => text.plain().unwrap_or_default(),
            Value::Number(number) => number,
            _ => "",
        };
        let mut random = [0; RANDOM_LEN];
        platform.random(&mut random).map_err(NoKey::Random)?;
        let pair = KeyPair::new(random);
        random.zeroize();
        self.secret = Some(pair.agree(public).map_err(NoKey::Public)?);
        Ok(pair.public())
    }

    /// `password`: decrypts root's new password with the key, which is gone afterwards, and sets it.
    pub fn password<P: Files + Clock + Entropy + Log>(&mut self, value: Value<'_>, platform: &mut P) -> Response {
        self.forget_unused(platform.uptime_ms());
        let Some(secret) = &self.secret else {
            return Response::failed(format_args!("Password without key exchange"));
        };
        let result = with_wiped_stack(|| set(secret, value, platform));
        // Dropped, and so wiped, where it is: moved away before, it would leave its bytes behind.
        self.secret = None;
        respond(result, platform)
    }
}

/// `password` in a sealed request: sets root's new password, which is the value as it stands.
#[cfg(feature = "sealed")]
pub fn password_in_clear<P: Files + Clock + Entropy + Log>(value: Value<'_>, platform: &mut P) -> Response {
    let result = with_wiped_stack(|| set_clear(value, platform));
    respond(result, platform)
}

#[cfg(feature = "sealed")]
#[inline(never)]
fn set_clear<P: Files + Clock + Entropy + Log>(
    value: Value<'_>,
    platform: &mut P,
) -> Result<Option<Unsynced<'static>>, NotSet> {
    let text = if let Value::Text(text) = value { text } else { Text::EMPTY };
    let password = Password::of_text(text).map_err(NotSet::Cipher)?;
    set_root_password(platform, &password).map_err(NotSet::Account)
}

fn respond<P: Log>(result: Result<Option<Unsynced<'static>>, NotSet>, platform: &mut P) -> Response {
    match result {
        Ok(unsynced) => {
            warn_of(platform, &unsynced);
            Response::done_and(unsynced)
        }
        Err(error) => Response::failed(format_args!("{error}")),
    }
}

#[inline(never)]
fn set<P: Files + Clock + Entropy + Log>(
    secret: &SharedSecret,
    value: Value<'_>,
    platform: &mut P,
) -> Result<Option<Unsynced<'static>>, NotSet> {
    let text = if let Value::Text(text) = value { text } else { Text::EMPTY };
    let md5_too = !is_disabled(platform, MD5);
    let password = Password::decrypt(secret, text, md5_too).map_err(NotSet::Cipher)?;
    set_root_password(platform, &password).map_err(NotSet::Account)
}

/// Why there is no key.
enum NoKey {
    /// The kernel gives no random bytes.
    Random(Errno),
    /// The host's half cannot be one.
    Public(BadPublicKey),
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoKey::Random(errno) => write!(f, "no randomness for a key: {errno}"),
            NoKey::Public(BadPublicKey) => {
                f.write_str("Invalid public key: it must be a decimal number above 1 and below p - 1, p = 2^107 - 1")
            }
        }
    }
}

/// Why a password was not set.
enum NotSet {
    /// It could not be decrypted.
    Cipher(CipherError),
    /// It could not be written.
    Account(AccountError),
}

impl fmt::Display for NotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSet::Cipher(error) => error.fmt(f),
            NotSet::Account(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_platform::FakePlatform;

    fn keyinit(exchange: &mut Exchange, platform: &mut FakePlatform) -> Code {
        exchange.keyinit(Value::Number("1234567890123"), platform).code
    }

    #[test]
    fn a_key_that_is_not_used_is_forgotten_after_five_minutes() {
        let mut platform = FakePlatform::with(&[("/etc/shadow", "root:*:1:\n")]);
        let mut exchange = Exchange::new();
        assert_eq!(exchange.forget_unused(0), None);
        platform.time += 7;
        assert_eq!(keyinit(&mut exchange, &mut platform), Code::KeyReady);
        assert_eq!(exchange.forget_unused(7_000), Some(307_000));
        assert_eq!(exchange.forget_unused(306_999), Some(307_000));
        assert!(exchange.secret.is_some());
        assert_eq!(exchange.forget_unused(307_000), None);
        assert!(exchange.secret.is_none());
        // A new exchange begins anew.
        platform.time += 100;
        assert_eq!(keyinit(&mut exchange, &mut platform), Code::KeyReady);
        assert_eq!(exchange.forget_unused(107_000), Some(407_000));
        // Whoever forgets to ask: a password that comes too late has no key.
        for (later, message) in [(299, "Invalid password data received"), (300, "Password without key exchange")] {
            assert_eq!(keyinit(&mut exchange, &mut platform), Code::KeyReady);
            platform.time += later;
            assert_eq!(exchange.password(Value::Number("1"), &mut platform).message.as_str(), message);
            assert_eq!(exchange.forget_unused(0), None);
        }
    }
}
