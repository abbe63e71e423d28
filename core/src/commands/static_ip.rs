//! XAPI's `VIF.configure_ipv4` and `VIF.configure_ipv6`: what [`crate::network::source::xapi`] reads is applied, as
//! `resetnetwork` applies vm-data, and answered beside the setting.

use crate::commands::Response;
use crate::network::reset::{Line, reset};
use crate::network::source::xapi::{DEVICES, Setting, each_setting};
use crate::network::{Network, Target};
use crate::platform::{Clock, Files, Identity, KernelNet, Log, Programs};
use crate::wire::text::Bounded;
use crate::xenstore::{Client, Error, Path, Transaction, Transport, unless_refused};

/// The token of their watch.
pub const TOKEN: &str = "nanova-addresses";

/// Has events come of settings that change.
pub fn watch<T: Transport>(client: &mut Client<T>) -> Result<(), Error> {
    unless_refused(client.watch(DEVICES, TOKEN)).map(|_| ())
}

/// Whether an event is about a setting: our own answers fire the watch, too.
pub fn is_news(path: &str) -> bool {
    !path.ends_with("/error-code") && !path.ends_with("/error-msg")
}

/// Applies the settings, if there are any, and answers them. Returns the answer.
#[inline(never)]
pub fn apply<T: Transport, P: Files + Clock + Log + Identity + Programs + KernelNet>(
    client: &mut Client<T>,
    platform: &mut P,
    network: &mut Network,
    target: Target,
) -> Result<Option<Response>, Error> {
    let (mut any, mut good) = (false, false);
    each_setting(client, &mut |_, _, setting| {
        any = true;
        good |= matches!(setting, Setting::Given(_));
        Ok(())
    })?;
    if !any {
        return Ok(None);
    }
    let (complete, problems) = if good { reset(client, platform, network, target)? } else { (true, Line::new()) };
    let problems = problems.as_str();
    each_setting(client, &mut |client, number, setting| {
        let message = if let Setting::Wrong(wrong) = setting { wrong } else { problems };
        let code = if message.is_empty() { "0" } else { "1" };
        // The message first: who sees the code looks for it.
        for (key, value) in [("error-msg", message), ("error-code", code)] {
            let path = Bounded::<80>::of(format_args!("{DEVICES}/{number}/static-ip-setting/{key}"));
            let Ok(path) = Path::new(path.as_str()) else { continue };
            unless_refused(client.write(Transaction::NONE, path, value.as_bytes()))?;
        }
        Ok(())
    })?;
    Ok(Some(if complete { Response::done() } else { Response::failed(format_args!("{problems}")) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_answers_are_no_news() {
        assert!(is_news("xenserver/device/vif") && is_news("xenserver/device/vif/0/static-ip-setting/enabled"));
        assert!(!is_news("xenserver/device/vif/0/static-ip-setting/error-code"));
        assert!(!is_news("xenserver/device/vif/0/static-ip-setting/error-msg"));
    }
}
