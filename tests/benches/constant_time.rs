//! `cargo bench -p nanova-tests --bench constant_time`: whether the time that something takes tells of the secret in
//! it.
//!
//! Method: Reparaz, Balasch, Verbauwhede, "Dude, is my code constant time?" (DATE 2017). Each part is run on a fixed
//! secret and on random ones, in random turns; Welch's t says whether the two classes differ, of all times and of those
//! below some percentiles, as what else the machine does is in the long ones. |t| from 4.5 on is taken for a leak.
//! Beside it stands the t of two classes of the same fixed secret, which shows what the machine itself makes of it, and
//! at the end a comparison that does leak, which must be noticed. A part that is above 4.5 is measured again with other
//! secrets, and fails at the third time: what a busy machine did it hardly does three times, and a leak does.
//!
//! What is measured is core as it is shipped (`[profile.bench]`: opt-level "z"). Secrets of different lengths take
//! different times, which SECURITY.md says; all here have as many digits as p. It measures this machine and no other:
//! tests/tests/no_secret_decides_what_is_done.rs looks at the instructions.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use nanova_core::commands::password::Exchange;
use nanova_core::secret::sealed::Direction;
use nanova_core::secret::{KeyPair, SharedSecret, measured};
use nanova_core::wire::json::Value;
use nanova_tests::virtual_guest::BareGuest;

/// Samples of each part; a third of them are the control's.
const SAMPLES: usize = 200_000;
/// Secrets that these are taken from.
const PREPARED: usize = 3000;
/// How often a part is measured at most.
const TRIES: usize = 3;
const LIMIT: f64 = 4.5;
/// What the comparison that leaks must show.
const NOTICED: f64 = 50.0;
/// The parts of all times, shortest first, that are looked at.
const CROPS: [f64; 6] = [0.5, 0.75, 0.9, 0.95, 0.99, 1.0];
/// The host's public key.
const HOST: u128 = 1_234_567_890_123_456_789;
/// The least number with as many digits as p.
const TEN_POW_32: u128 = 10u128.pow(32);
const P: u128 = (1 << 107) - 1;
/// Another one, of the group of 2048 bits: any number but a few is one.
const LONG_HOST: [u8; 256] = [0x5a; 256];
const MESSAGE: [u8; 64] = [0x5a; 64];

fn main() -> ExitCode {
    println!("{:<28} {:>9} {:>11} {:>7} {:>7}", "part", "samples", "median ns", "|t|", "A/A");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let keys = Keys::new(&mut random);
    let mut good = true;
    let key = |random: &mut Random, class: Class| keys.of(random, class);
    good &= is_constant("DH power", 1, &mut random, key, |key| {
        black_box(measured::power(*key, HOST));
    });
    good &= is_constant("keyinit, whole", 1, &mut random, |random, class| guest(keys.of(random, class)), keyinit);
    good &= is_constant("decimal text", 1, &mut random, number, |number| {
        black_box(measured::digits(*number));
    });
    let secret = |random: &mut Random, class: Class| secret(keys.of(random, class));
    good &= is_constant("key derivation, MD5", 4, &mut random, secret, |secret| {
        black_box(measured::Key::md5(secret));
    });
    good &= is_constant("key derivation, SHA-256", 4, &mut random, secret, |secret| {
        black_box(measured::Key::sha256(secret));
    });
    good &= is_constant("AES-CBC decryption", 1, &mut random, key_and_iv, |key| {
        let mut plain = [0; MESSAGE.len()];
        key.decrypt(&MESSAGE, &mut plain);
        black_box(plain);
    });
    good &= is_constant("unpadding", 16, &mut random, last_block, |block| {
        black_box(measured::padding(block));
    });
    good &= is_constant_in("DH power, 2048 bits", SAMPLES / 20, 1, &mut random, long_key, |key| {
        let mut shared = [0; 256];
        black_box((measured::agree(key, &LONG_HOST, &mut shared), shared)).0.unwrap_or_default();
    });
    good &= is_constant("sealing", 1, &mut random, direction, |keys| {
        let mut room = [0x5a; 120];
        black_box(keys.seal(7, &mut room, 64));
    });
    good &= is_constant("the code of a frame, wrong", 1, &mut random, direction, |keys| {
        black_box(keys.check(&[0x5a; 120])).unwrap_or_default();
    });
    let times = Times::of(1, SAMPLES / 8, &mut random, guess, |(guess, known)| {
        black_box(leaks(guess, known));
    });
    times.print("comparison that leaks");
    good &= times.t() > NOTICED;
    println!("{}", if good { "all as it should be" } else { "NOT as it should be" });
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures a part, and again if need be.
fn is_constant<S>(
    name: &str,
    repeat: usize,
    random: &mut Random,
    prepare: impl Fn(&mut Random, Class) -> S,
    run: impl Fn(&S),
) -> bool {
    is_constant_in(name, SAMPLES, repeat, random, prepare, run)
}

/// The same in so many samples.
fn is_constant_in<S>(
    name: &str,
    samples: usize,
    repeat: usize,
    random: &mut Random,
    prepare: impl Fn(&mut Random, Class) -> S,
    run: impl Fn(&S),
) -> bool {
    (0..TRIES).any(|_| {
        let times = Times::of(repeat, samples, random, &prepare, &run);
        times.print(name);
        times.t() < LIMIT
    })
}

/// What a sample is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Fixed,
    /// The same as fixed.
    Control,
    Random,
}

impl Class {
    fn choose<T>(self, fixed: T, random: T) -> T {
        if self == Class::Random { random } else { fixed }
    }
}

/// Nanoseconds by class.
struct Times(Vec<(Class, u32)>);

impl Times {
    /// Prepares secrets, then runs them in random turns, all in the same place in memory. A sample is of `repeat` runs,
    /// as one run of what is short is shorter than the clock's step.
    fn of<S>(
        repeat: usize,
        samples: usize,
        random: &mut Random,
        prepare: impl Fn(&mut Random, Class) -> S,
        run: impl Fn(&S),
    ) -> Times {
        let class = |random: &mut Random| [Class::Fixed, Class::Control, Class::Random][random.below(3)];
        let mut prepared = Vec::with_capacity(PREPARED);
        for _ in 0..PREPARED {
            let class = class(random);
            prepared.push((class, prepare(random, class)));
        }
        let mut here = (Class::Fixed, prepare(random, Class::Fixed));
        let mut times = Vec::with_capacity(samples);
        // The first tenth warms caches and processor up.
        for number in 0..samples + samples / 10 {
            let chosen = random.below(PREPARED);
            std::mem::swap(&mut here, &mut prepared[chosen]);
            let start = Instant::now();
            for _ in 0..repeat {
                run(black_box(&here.1));
            }
            let nanoseconds = start.elapsed().as_nanos();
            std::mem::swap(&mut here, &mut prepared[chosen]);
            if number >= samples / 10 {
                times.push((prepared[chosen].0, u32::try_from(nanoseconds).unwrap_or(u32::MAX)));
            }
        }
        times.sort_by_key(|(_, time)| *time);
        Times(times)
    }

    /// The largest |t| of a fixed secret against random ones.
    fn t(&self) -> f64 {
        self.largest(|class| class != Class::Random)
    }

    /// The same of a fixed secret against itself.
    fn control(&self) -> f64 {
        let same = Times(self.0.iter().copied().filter(|(class, _)| *class != Class::Random).collect());
        same.largest(|class| class == Class::Fixed)
    }

    fn largest(&self, is_first: impl Fn(Class) -> bool) -> f64 {
        let cropped = |part: f64| {
            let (mut first, mut second) = (Moments::default(), Moments::default());
            // All that take as long as the last one are in, or the crop would depend on how equal times were sorted.
            let last = self.0.get((self.0.len() as f64 * part) as usize).map_or(u32::MAX, |(_, time)| *time);
            for (class, time) in self.0.iter().take_while(|(_, time)| *time <= last) {
                if is_first(*class) { &mut first } else { &mut second }.add(f64::from(*time));
            }
            first.welch(&second).abs()
        };
        CROPS.into_iter().map(cropped).fold(0.0, f64::max)
    }

    fn print(&self, name: &str) {
        let median = self.0[self.0.len() / 2].1;
        println!("{name:<28} {:>9} {median:>11} {:>7.2} {:>7.2}", self.0.len(), self.t(), self.control());
    }
}

/// Mean and variance, one value at a time (Welford).
#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let away = value - self.mean;
        self.mean += away / self.count;
        self.squares += away * (value - self.mean);
    }

    /// The variance of the mean.
    fn error(&self) -> f64 {
        self.squares / (self.count - 1.0) / self.count
    }

    fn welch(&self, other: &Moments) -> f64 {
        let error = self.error() + other.error();
        if error > 0.0 { (self.mean - other.mean) / error.sqrt() } else { 0.0 }
    }
}

/// xorshift64*: repeatable.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, many: usize) -> usize {
        (self.next() >> 32) as usize % many
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| (self.next() >> 56) as u8)
    }
}

/// Private keys whose public key and whose secret with the host have as many digits as p.
struct Keys(Vec<[u8; 16]>);

impl Keys {
    const MANY: usize = 4096;

    fn new(random: &mut Random) -> Keys {
        let is_long = |number: u128| number >= TEN_POW_32;
        let mut keys = Vec::with_capacity(Keys::MANY);
        while keys.len() < Keys::MANY {
            let key = random.bytes();
            if is_long(measured::power(key, 5)) && is_long(measured::power(key, HOST)) {
                keys.push(key);
            }
        }
        Keys(keys)
    }

    fn of(&self, random: &mut Random, class: Class) -> [u8; 16] {
        class.choose(self.0[0], self.0[random.below(Keys::MANY)])
    }
}

fn secret(key: [u8; 16]) -> SharedSecret {
    KeyPair::new(key).agree(&HOST.to_string()).unwrap_or_else(|_| unreachable!("the host's key is one"))
}

fn guest(key: [u8; 16]) -> std::cell::RefCell<BareGuest> {
    BareGuest::with_random(key).into()
}

fn keyinit(guest: &std::cell::RefCell<BareGuest>) {
    let mut exchange = Exchange::new();
    let response = exchange.keyinit(Value::Number("1234567890123456789"), &mut *guest.borrow_mut());
    black_box((exchange, response));
}

fn number(random: &mut Random, class: Class) -> u128 {
    let noise = (u128::from(random.next()) << 64) | u128::from(random.next());
    class.choose(TEN_POW_32, TEN_POW_32 + noise % (P - TEN_POW_32))
}

fn key_and_iv(random: &mut Random, class: Class) -> measured::Key {
    measured::Key::of(class.choose([0; 32], random.bytes()))
}

fn long_key(random: &mut Random, class: Class) -> [u8; 32] {
    class.choose([7; 32], random.bytes())
}

fn direction(random: &mut Random, class: Class) -> Direction {
    let (cipher, code) = (random.bytes(), random.bytes());
    measured::direction(class.choose([0; 32], cipher), class.choose([0; 32], code))
}

/// A padding that is right, and noise, which is none.
fn last_block(random: &mut Random, class: Class) -> [u8; 16] {
    class.choose(*b"a password\n\x05\x05\x05\x05\x05", random.bytes())
}

fn guess(random: &mut Random, class: Class) -> ([u8; 32], [u8; 32]) {
    (class.choose([7; 32], random.bytes()), [7; 32])
}

/// What nobody should compare a secret with: it ends at the first byte that differs.
#[inline(never)]
fn leaks(guess: &[u8; 32], known: &[u8; 32]) -> bool {
    guess.iter().zip(known).all(|(one, other)| black_box(one) == black_box(other))
}
