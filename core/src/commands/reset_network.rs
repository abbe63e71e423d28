//! `resetnetwork`: what vm-data and XAPI say, into the kernel and into files.

use crate::commands::Response;
use crate::network::reset::reset;
use crate::network::{Network, Target};
use crate::platform::{Clock, Files, Identity, KernelNet, Log, Programs};
use crate::xenstore::{Client, Error, Transport};

/// Runs the command `resetnetwork`.
#[inline(never)]
pub fn resetnetwork<T: Transport, P: Files + Clock + Log + Identity + Programs + KernelNet>(
    client: &mut Client<T>,
    platform: &mut P,
    network: &mut Network,
    target: Target,
) -> Result<Response, Error> {
    let (complete, problems) = reset(client, platform, network, target)?;
    Ok(if complete { Response::done() } else { Response::failed(format_args!("{}", problems.as_str())) })
}
