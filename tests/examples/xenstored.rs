//! The embedded xenstored by hand: prints where it listens and serves until standard input ends.
//!
//! `cargo run -p nanova-tests --example xenstored`, then e.g. `XENSTORED_PATH=<guest socket> nanova xenstore ls -p`.

use std::io::Read;

use nanova_tests::xenstored::{Kernel, Options, Xenstored};

fn main() -> std::io::Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let device = xenstored.guest_device(Kernel::default())?;
    println!("guest socket: {}", xenstored.guest_socket().display());
    println!("host socket:  {}", xenstored.host_socket().display());
    println!("guest device: {}", device.path().display());
    std::io::stdin().read_to_end(&mut Vec::new()).map(drop)
}
