//! `keyinit` and `password`: agree on a key, then set root's password under it.

use crate::account::set_root_password;
use crate::commands::disabled::is_disabled;
use crate::commands::response::{Code, Response};
use crate::files::replace::warn_of;
use crate::platform::{Clock, Entropy, Files, Log};
use crate::secret::exchange::RANDOM_LEN;
use crate::secret::{KeyPair, Password, SharedSecret, wipe_stack};
use crate::wire::json::{Text, Value};
use zeroize::Zeroize;

/// What a list of disabled commands calls passwords whose key was derived with MD5.
const MD5: &str = "md5";
/// The same for the exchange over the group of 107 bits, which is the only one.
const KEYINIT_107: &str = "keyinit-107";

/// The key that was agreed on and not used yet. At most one: a new exchange replaces it, a use wipes it.
#[derive(Default)]
pub struct Exchange {
    secret: Option<SharedSecret>,
}

impl Exchange {
    /// No key.
    pub const fn new() -> Exchange {
        Exchange { secret: None }
    }

    /// `keyinit`: takes the host's public key (decimal text, or a bare number as very old hosts write it) and answers
    /// with ours.
    pub fn keyinit<P: Entropy + Files + Log>(&mut self, value: Value<'_>, platform: &mut P) -> Response {
        self.secret = None;
        if is_disabled(platform, KEYINIT_107) {
            return Response::failed(format_args!(
                "the key exchange over 107 bits is disabled here ({KEYINIT_107} in /etc/nanova/disable)"
            ));
        }
        let response = self.agree(value, platform);
        wipe_stack();
        response
    }

    #[inline(never)]
    fn agree<P: Entropy>(&mut self, value: Value<'_>, platform: &mut P) -> Response {
        let public = match value {
            Value::Text(text) => text.plain().unwrap_or_default(),
            Value::Number(number) => number,
            _ => "",
        };
        let mut random = [0; RANDOM_LEN];
        if let Err(errno) = platform.random(&mut random) {
            return Response::failed(format_args!("no randomness for a key: {errno}"));
        }
        let pair = KeyPair::new(random);
        random.zeroize();
        match pair.agree(public) {
            Ok(secret) => {
                self.secret = Some(secret);
                Response::new(Code::KeyReady, format_args!("{}", pair.public().as_str()))
            }
            Err(_) => Response::failed(format_args!(
                "Invalid public key: it must be a decimal number above 1 and below p - 1, p = 2^107 - 1"
            )),
        }
    }

    /// `password`: decrypts root's new password with the key, which is gone afterwards, and sets it.
    pub fn password<P: Files + Clock + Entropy + Log>(&mut self, value: Value<'_>, platform: &mut P) -> Response {
        let Some(secret) = &self.secret else {
            return Response::failed(format_args!("Password without key exchange"));
        };
        let response = set(secret, value, platform);
        // Dropped, and so wiped, where it is: moved away before, it would leave its bytes behind.
        self.secret = None;
        wipe_stack();
        response
    }
}

#[inline(never)]
fn set<P: Files + Clock + Entropy + Log>(secret: &SharedSecret, value: Value<'_>, platform: &mut P) -> Response {
    let text = if let Value::Text(text) = value { text } else { Text::EMPTY };
    let md5_too = !is_disabled(platform, MD5);
    match Password::decrypt(secret, text, md5_too) {
        Err(error) => Response::failed(format_args!("{error}")),
        Ok(password) => match set_root_password(platform, &password) {
            Ok(unsynced) => {
                warn_of(platform, &unsynced);
                Response::done_and(unsynced)
            }
            Err(error) => Response::failed(format_args!("{error}")),
        },
    }
}
