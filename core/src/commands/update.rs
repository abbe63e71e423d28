//! `agentupdate`: see [`crate::update`].

use crate::commands::Response;
use crate::platform::{Clock, Download, Ended, Errands};
use crate::update::{Stepped, Update, UpdateFailure};
use crate::wire::json::Value;

/// Begins the command; or returns its response.
#[inline(never)]
pub fn begin<P: Errands + Download + Clock>(value: Value<'_>, platform: &mut P) -> Result<Update, Response> {
    Update::begin(value, platform).map_err(failed)
}

/// Goes on when the errand of an update has ended; or returns the command's response. If that is success the new agent
/// is to be executed.
#[inline(never)]
pub fn go_on<P: Errands>(update: Update, platform: &mut P, ended: Ended) -> Result<Update, Response> {
    match update.go_on(platform, ended) {
        Ok(Stepped::Begun(update)) => Ok(update),
        Ok(Stepped::Ready(about)) => {
            Err(Response::new(crate::commands::Code::Done, format_args!("{}", about.as_str())))
        }
        Err(failure) => Err(failed(failure)),
    }
}

fn failed(UpdateFailure(why): UpdateFailure) -> Response {
    Response::failed(format_args!("{}", why.as_str()))
}
