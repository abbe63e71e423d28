//! `resetnetwork`: what vm-data and XAPI say, into the kernel and into files.

use crate::commands::{Code, Response};
use crate::network::reset::reset;
use crate::network::{Network, Target};
use crate::platform::{Clock, Files, Identity, KernelNet, Log, Programs};
use crate::xenstore::{Client, Error, Transport};

/// Runs the command `resetnetwork`. What was left out is said with success, too: success is that every address and
/// every default route is in force, and every file written.
#[inline(never)]
pub fn resetnetwork<T: Transport, P: Files + Clock + Log + Identity + Programs + KernelNet>(
    client: &mut Client<T>,
    platform: &mut P,
    network: &mut Network,
    target: Target,
) -> Result<Response, Error> {
    let (complete, problems) = reset(client, platform, network, target)?;
    let code = if complete { Code::Done } else { Code::Failed };
    Ok(Response::new(code, format_args!("{}", problems.as_str())))
}
