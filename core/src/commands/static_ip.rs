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
            let path = Bounded::<80>::of(format_args!("{DEVICES}/{}/static-ip-setting/{key}", u64::from(number)));
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
    use crate::commands::Code;
    use crate::test_platform::FakePlatform;
    use crate::test_xenstore::{FakeXenstore, events};
    use crate::wire::errno::Errno;
    use crate::wire::net::Mac;
    use crate::wire::netlink::Link;
    use crate::wire::xenstore::MessageType;

    /// Settings of VIFs, and a guest with the link eth0 of VIF 0.
    fn guest(settings: &[(&str, &str)]) -> (Client<FakeXenstore>, FakePlatform) {
        let mut store = FakeXenstore::with(&[]);
        for (key, value) in settings {
            let (number, key) = key.split_once('/').unwrap();
            store.put(&format!("xenserver/device/vif/{number}/static-ip-setting/{key}"), value);
        }
        let mut platform = FakePlatform::with(&[]);
        let mac = Mac::parse("BC764E04CFE5");
        let link = Link { index: 2, name: "eth0".try_into().unwrap(), mac, mtu: 1500, ..Link::default() };
        platform.kernel.links.push(link);
        (Client::new(store), platform)
    }

    const GOOD: [(&str, &str); 4] =
        [("0/mac", "bc:76:4e:04:cf:e5"), ("0/enabled", "1"), ("0/address", "10.0.0.5/24"), ("0/gateway", "10.0.0.1")];

    fn answer(client: &mut Client<FakeXenstore>, number: u16) -> [Option<String>; 2] {
        ["error-code", "error-msg"].map(|key| {
            let path = format!("xenserver/device/vif/{number}/static-ip-setting/{key}");
            client.transport().get(&path).map(str::to_owned)
        })
    }

    fn some(code: &str, message: &str) -> [Option<String>; 2] {
        [Some(code.to_owned()), Some(message.to_owned())]
    }

    fn applied(client: &mut Client<FakeXenstore>, platform: &mut FakePlatform) -> Option<Response> {
        apply(client, platform, &mut Network::new(), Target::Kernel).unwrap()
    }

    #[test]
    fn settings_that_change_are_told_where_they_may_be() {
        let (mut client, _) = guest(&[]);
        assert_eq!(watch(&mut client), Ok(()));
        assert_eq!(events(&mut client), ["xenserver/device/vif=nanova-addresses"]);
        client.transport().refuses.push((MessageType::WATCH, "xenserver", "EACCES"));
        assert_eq!(watch(&mut client), Ok(()));
        client.transport().lose = Some((0, false));
        assert!(watch(&mut client).is_err());
    }

    #[test]
    fn where_nothing_is_set_nothing_is_done() {
        for settings in [&[][..], &[("0/mac", "bc:76:4e:04:cf:e5"), ("0/enabled", "0"), ("0/enabled6", "0")]] {
            let (mut client, mut platform) = guest(settings);
            assert_eq!(applied(&mut client, &mut platform), None);
            assert!(client.transport().asked(MessageType::WRITE).is_empty() && platform.kernel.asked.is_empty());
        }
    }

    #[test]
    fn a_setting_is_applied_and_answered_with_the_message_first() {
        let (mut client, mut platform) = guest(&GOOD);
        assert_eq!(applied(&mut client, &mut platform), Some(Response::done()));
        assert_eq!(answer(&mut client, 0), some("0", ""));
        let written: Vec<_> =
            client.transport().asked(MessageType::WRITE).iter().map(|path| path.rsplit('/').next()).collect();
        assert_eq!(written, [Some("error-msg"), Some("error-code")]);
        // Up, an address, a route.
        assert_eq!(platform.kernel.asked, [19, 20, 24]);
    }

    #[test]
    fn what_the_kernel_refuses_is_answered() {
        let (mut client, mut platform) = guest(&GOOD);
        platform.kernel.refuses = Some((20, Errno::PERM));
        let response = applied(&mut client, &mut platform).unwrap();
        let why = format!("cannot add address 10.0.0.5/24 to eth0: {}", Errno::PERM);
        assert_eq!((response.code, response.message.as_str()), (Code::Failed, why.as_str()));
        assert_eq!(answer(&mut client, 0), some("1", &why));
    }

    #[test]
    fn a_setting_that_makes_no_sense_is_answered_and_changes_nothing() {
        let (mut client, mut platform) = guest(&[("0/mac", "bc:76:4e:04:cf:e5"), ("0/enabled", "2")]);
        assert_eq!(applied(&mut client, &mut platform), Some(Response::done()));
        let why = "nanova speaks no DHCP: set it up in the guest's own files";
        assert_eq!(answer(&mut client, 0), some("1", why));
        assert!(platform.kernel.asked.is_empty());
        // Beside one that does each gets its own answer.
        let both = [&GOOD[..], &[("1/mac", "x"), ("1/enabled6", "1"), ("1/address6", "2001:db8::5/64")]].concat();
        let (mut client, mut platform) = guest(&both);
        assert_eq!(applied(&mut client, &mut platform), Some(Response::done()));
        assert_eq!(
            (answer(&mut client, 0), answer(&mut client, 1)),
            (some("0", ""), some("1", "mac is no MAC address"))
        );
    }

    #[test]
    fn an_answer_that_may_not_be_written_is_no_matter_but_a_lost_connection_is() {
        let (mut client, mut platform) = guest(&GOOD);
        client.transport().refuses.push((MessageType::WRITE, "xenserver", "EACCES"));
        assert_eq!(applied(&mut client, &mut platform), Some(Response::done()));
        let asked = client.transport().asked.len();
        for requests in 0..asked {
            let (mut client, mut platform) = guest(&GOOD);
            client.transport().lose = Some((requests, false));
            assert!(apply(&mut client, &mut platform, &mut Network::new(), Target::Kernel).is_err(), "{requests}");
        }
    }

    #[test]
    fn our_own_answers_are_no_news() {
        assert!(is_news("xenserver/device/vif") && is_news("xenserver/device/vif/0/static-ip-setting/enabled"));
        assert!(!is_news("xenserver/device/vif/0/static-ip-setting/error-code"));
        assert!(!is_news("xenserver/device/vif/0/static-ip-setting/error-msg"));
    }
}
