//! What secrets go through, for valgrind: `secrets password` has a key agreed on and a password decrypted and hashed,
//! as the agent does it, `secrets sealed` a session with its messages, with every secret byte marked as undefined.
//! Memcheck then reports each branch and each index that depends on one (the method is Adam Langley's ctgrind).
//! `secrets branch` and `secrets index` leak, and must be reported.
//!
//! tests/tests/no_secret_decides_what_is_done.rs runs it. By itself it marks nothing, and only says so.

use std::hint::black_box;
use std::process::ExitCode;

use nanova_core::account::hash::shadow_field;
use nanova_core::secret::group::{LongKeyPair, NUMBER_LEN};
use nanova_core::secret::sealed::{Keys, frame_len};
use nanova_core::secret::{KeyPair, Password, measured};
use nanova_core::wire::json::{Value, members};

/// The host's public key.
const HOST: &str = "1234567890123456789";
/// `openssl enc -aes-128-cbc -a -nosalt -md sha256 -pass pass:SECRET`, where SECRET is what [`KEY`] and [`HOST`] agree
/// on.
const MESSAGE: &str = "WL6JqXJrqirA20/QiuQ+gs3Fejl4AXzdj0Gv53NLB3s=";
const KEY: [u8; 16] = *b"sixteen of bytes";

fn main() -> ExitCode {
    if !memcheck::is_there() {
        println!("this is no valgrind: nothing is watched");
    }
    match std::env::args().nth(1).as_deref() {
        Some("password") => password(),
        Some("sealed") => sealed(),
        Some("branch") => leaks(|byte| u8::from(black_box(byte) > 7 && black_box(true))),
        Some("index") => leaks(|byte| black_box([7; 256])[usize::from(byte)]),
        _ => {
            eprintln!("secrets: say password, sealed, branch or index");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn password() {
    let mut random = KEY;
    memcheck::set_secret(&mut random);
    let pair = KeyPair::new(random);
    let mut public = pair.public();
    memcheck::set_public(&mut public);
    println!("public key: {}", public.as_str());

    let Ok(mut secret) = pair.agree(HOST) else { unreachable!("the host's key is one") };
    // How many digits it has is public.
    memcheck::set_public(&mut secret);
    memcheck::set_secret(measured::digits_of(&mut secret));

    let mut document = format!("{{\"value\":\"{MESSAGE}\"}}").into_bytes();
    let Ok([Value::Text(message)]) = members(&mut document, ["value"]) else { unreachable!("the message is a text") };
    let mut password = Password::decrypt(&secret, message, true);
    memcheck::set_public(&mut password);
    let Ok(mut password) = password else { unreachable!("the message is a password") };
    assert_eq!(password.as_bytes(), b"correct horse battery staple");

    memcheck::set_secret(measured::text_of(&mut password));
    let mut field = shadow_field(&password, [0x5a; 12]);
    memcheck::set_public(&mut field);
    println!("field: {}", field.unwrap_or_default());

    // By itself, as it is judged where its verdict is public.
    for mut last in [*b"a password\n\x05\x05\x05\x05\x05", [0x5a; 16]] {
        memcheck::set_secret(&mut last);
        let mut padding = measured::padding(&last);
        memcheck::set_public(&mut padding);
        println!("padding: {padding:?}");
    }
}

/// A session of sealed requests: its keys and private key are secret, what is sealed is until it is, and what was
/// opened.
fn sealed() {
    const LEN: usize = 40;
    let (mut random, mut number) = ([0x5a; 32], [0; NUMBER_LEN]);
    memcheck::set_secret(&mut random);
    let pair = LongKeyPair::new(&random);
    pair.public(&mut number);
    memcheck::set_public(&mut number);
    println!("public key: {:02x}{:02x}...", number[0], number[1]);
    let mut shared = [0; NUMBER_LEN];
    let agreed = pair.agree(&{ number }, &mut shared);
    assert!(agreed.is_ok(), "what is the guest's own is a public key");
    memcheck::set_secret(&mut shared);

    let mut keys = Keys::NONE;
    keys.derive(&shared, &number, &number);
    memcheck::set_secret(&mut keys);
    let mut room = [0x2a; frame_len(LEN)];
    memcheck::set_secret(&mut room);
    let len = keys.to_guest.seal(7, &mut room, LEN);
    assert_eq!(len, Some(room.len()), "its length is no secret");
    // What is sent is public, and so is whether it is right.
    memcheck::set_public(&mut room);
    let mut checked = keys.to_guest.check(&room);
    memcheck::set_public(&mut checked);
    assert_eq!(checked, Ok(7));
    let mut opened = keys.to_guest.decrypt(7, &mut room);
    memcheck::set_public(&mut opened);
    let Ok(message) = opened else { unreachable!("it was sealed here") };
    memcheck::set_public(message);
    println!("message: {} bytes, {}", message.len(), message.iter().all(|byte| *byte == 0x2a));
    room[20] ^= 1;
    let mut checked = keys.to_guest.check(&room);
    memcheck::set_public(&mut checked);
    println!("changed: {checked:?}");
}

#[inline(never)]
fn leaks(what: impl Fn(u8) -> u8) {
    let mut byte = 9;
    memcheck::set_secret(&mut byte);
    let mut result = what(byte);
    memcheck::set_public(&mut result);
    println!("{result}");
}

/// Requests to valgrind's Memcheck: a sequence of rotations that does nothing, which valgrind knows. Sources:
/// `/usr/include/valgrind/valgrind.h` (`__SPECIAL_INSTRUCTION_PREAMBLE`), `memcheck.h`.
mod memcheck {
    const RUNNING_ON_VALGRIND: usize = 0x1001;
    const MAKE_MEM_UNDEFINED: usize = 0x4d43_0001;
    const MAKE_MEM_DEFINED: usize = 0x4d43_0002;

    /// Whether this process runs in valgrind.
    pub(super) fn is_there() -> bool {
        request::<()>(RUNNING_ON_VALGRIND, &mut ()) != 0
    }

    /// From here on nothing may depend on the value of these bytes.
    pub(super) fn set_secret<T: ?Sized>(value: &mut T) {
        request(MAKE_MEM_UNDEFINED, value);
    }

    /// These bytes are known from here on.
    pub(super) fn set_public<T: ?Sized>(value: &mut T) {
        request(MAKE_MEM_DEFINED, value);
    }

    /// The compiler takes it that the value is another one afterwards, and so reads it from memory.
    #[cfg(target_arch = "x86_64")]
    fn request<T: ?Sized>(request: usize, value: &mut T) -> usize {
        let len = size_of_val(value);
        let place = std::ptr::from_mut(value).expose_provenance();
        let arguments = [request, place, len, 0, 0, 0];
        let mut result = 0;
        // SAFETY: the rotations add up to nothing, and exchanging a register with itself does nothing; valgrind reads
        // six words of `arguments` and puts its answer into rdx. Nothing is written to memory; that it may be is not
        // ruled out.
        unsafe {
            std::arch::asm!(
                "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51",
                "xchg rbx, rbx",
                in("rax") arguments.as_ptr(),
                inout("rdx") result,
                options(nostack),
            );
        }
        result
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn request<T: ?Sized>(_request: usize, _value: &mut T) -> usize {
        0
    }
}
