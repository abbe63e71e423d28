//! The model into the kernel: link up, addresses, routes, in this order, as a route needs the address it goes out with.
//!
//! One request that fails does not keep the others from being made: with IPv6 turned off, IPv4 works. What is there
//! already is as good as done. Nothing is removed.

use core::fmt::Write;

use super::vm_data::note;
use super::{Interface, Placed};
use crate::errno::Errno;
use crate::netlink::{Link, Message};

/// Sends one request and waits for its answer.
pub type Send<'s> = &'s mut dyn FnMut(&Message) -> Result<(), Errno>;

/// Sets up an interface on its link. What fails goes to `problems`. Returns whether the link is up with at least one of
/// its addresses.
#[inline(never)]
pub fn configure(interface: &Interface, link: &Link, send: Send<'_>, problems: &mut dyn Write) -> bool {
    let mut sequence = 0;
    let mut next = || {
        sequence += 1;
        sequence
    };
    let mut ask = |message: &Message| match send(message) {
        Err(Errno::EXIST) => Ok(()),
        result => result,
    };
    let name = &link.name;
    if let Err(errno) = ask(&Message::link_up(next(), link.index)) {
        note(problems, format_args!("cannot bring {name} up: {errno}"));
        return false;
    }
    let mut done = interface.addresses.is_empty();
    for address in &interface.addresses {
        match ask(&Message::address(next(), link.index, interface, address)) {
            Ok(()) => done = true,
            Err(errno) => note(problems, format_args!("cannot give {name} {address}: {errno}")),
        }
    }
    for route in &interface.routes {
        if let Err(errno) = ask(&Message::route(next(), link.index, interface, route)) {
            note(problems, format_args!("cannot route {} via {} over {name}: {errno}", route.to, route.via));
        }
    }
    done
}

/// Which link carries an interface. Of several with its address (a VLAN or a bridge above it has the same one) the one
/// that was there first.
pub fn take_link(place: &mut Option<Link>, interface: &Interface, link: &Link) {
    let earlier = place.as_ref().is_some_and(|present| present.index <= link.index);
    if link.mac == Some(interface.mac) && !earlier {
        *place = Some(link.clone());
    }
}

/// A part of a line about what was set up: ` eth0 10.0.0.5/24 via 10.0.0.1`.
pub fn describe(out: &mut dyn Write, placed: &Placed<'_>) {
    let interface = placed.interface;
    let _ = match placed.device {
        Some(device) => write!(out, " {device}"),
        None => write!(out, " {}", interface.mac),
    };
    for address in &interface.addresses {
        let _ = write!(out, " {address}");
    }
    for via in [true, false].into_iter().filter_map(|ipv4| interface.gateway(ipv4)) {
        let _ = write!(out, " via {via}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::parse::tests::{private, public};

    fn link(index: u32) -> Link {
        Link { index, name: "eth0".try_into().unwrap(), mac: Some(public().mac) }
    }

    /// Which messages were sent, by type, and the problems; those of type `fails` fail.
    fn run(fails: u8, errno: Errno) -> (Vec<u8>, String, bool) {
        let (mut sent, mut problems) = (Vec::new(), String::new());
        let mut send = |message: &Message| {
            let kind = message.as_bytes()[4];
            sent.push(kind);
            if kind == fails { Err(errno) } else { Ok(()) }
        };
        let done = configure(&public(), &link(2), &mut send, &mut problems);
        (sent, problems, done)
    }

    #[test]
    fn first_the_link_then_addresses_then_routes() {
        assert_eq!(run(0, Errno::IO), (vec![19, 20, 20, 24, 24], String::new(), true));
    }

    #[test]
    fn what_is_there_already_is_done_and_what_fails_is_told() {
        assert!(run(20, Errno::EXIST).2);
        let (sent, problems, done) = run(20, Errno::ACCES);
        assert_eq!((sent.len(), done), (5, false));
        assert!(problems.starts_with("cannot give eth0 166.78.10.124/24: permission denied (EACCES); "), "{problems}");
        let (sent, problems, done) = run(19, Errno::PERM);
        assert_eq!((sent.len(), done), (1, false));
        assert_eq!(problems, "cannot bring eth0 up: operation not permitted (EPERM); ");
    }

    #[test]
    fn the_device_itself_is_taken_not_what_is_stacked_on_it() {
        let mut place = None;
        for index in [5, 2, 9] {
            take_link(&mut place, &public(), &link(index));
        }
        assert_eq!(place.as_ref().map(|link| link.index), Some(2));
        let mut none = None;
        take_link(&mut none, &private(), &link(1));
        assert_eq!(none, None);
    }

    #[test]
    fn one_line_says_what_there_is() {
        let mut line = String::new();
        describe(&mut line, &Placed { interface: &private(), device: None });
        describe(&mut line, &Placed { interface: &public(), device: Some("eth0") });
        assert_eq!(
            line,
            " bc:76:4e:04:d9:36 10.181.30.181/17 eth0 166.78.10.124/24 \
             2001:4800:7810:512:e38a:a8b5:ff04:cfe5/64 via 166.78.10.1 via fe80::def"
        );
    }
}
