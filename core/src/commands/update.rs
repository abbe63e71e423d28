//! `agentupdate`: see [`crate::update`].

use crate::commands::Response;
use crate::platform::{Clock, Download, Files, Log, Programs};
use crate::update::{UpdateFailure, update};
use crate::wire::json::Value;

/// Runs the command. Whether it is done tells the response's code: then the new agent is to be executed.
#[inline(never)]
pub fn agentupdate<P: Files + Download + Programs + Clock + Log>(value: Value<'_>, platform: &mut P) -> Response {
    match update(value, platform) {
        Ok(()) => Response::done(),
        Err(UpdateFailure(why)) => Response::failed(format_args!("{}", why.as_str())),
    }
}
