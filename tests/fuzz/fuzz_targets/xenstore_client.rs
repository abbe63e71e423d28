//! Whole exchanges with a xenstored that says anything: every request is one packet, every answer is a value or an
//! error, names are whole, events come as they were said, and a list or a transaction ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::xenstore::path::RELATIVE_MAX;
use nanova_core::xenstore::{Access, Client, Error, Event, Path, Permission, Transaction};
use nanova_fuzz::stream::Stream;

const PATH: Path<'static> = Path::literal("data/host");

fn exchange(client: &mut Client<Stream<'_>>, operation: u8) -> Result<(), Error> {
    let none = Transaction::NONE;
    match operation % 16 {
        0 => client.read(none, PATH).map(drop),
        1 => client.text(format_args!("vm-data/{operation}")).map(drop),
        2 => client.numbers(PATH).map(|numbers| assert!(numbers.known.len() <= 32)),
        3 => client.write(none, PATH, &[operation; 300]),
        4 => client.mkdir(none, PATH),
        5 => client.rm(none, PATH),
        6 => client.permissions(none, PATH).map(|permissions| {
            for permission in permissions {
                assert_eq!(Permission::parse(&permission.to_string()), Some(permission));
            }
        }),
        7 => client.set_permissions(none, PATH, &[Permission { access: Access::Both, domain: u32::MAX }; 16]),
        8 => client.watch(PATH, "token"),
        9 => client.unwatch(PATH, "token"),
        10 => client.domain_path(7).map(|path| assert!(!path.contains('\0'))),
        11 | 12 => {
            let mut names = [b'?'; 512];
            let room = if operation % 16 == 11 { &mut names[..] } else { &mut names[..9] };
            let listing = client.list(none, PATH, usize::from(operation >> 4), room)?;
            assert!(room[..listing.len].last().is_none_or(|byte| *byte == 0), "names are whole");
            assert!(room[listing.len..].len() == room.len() - listing.len);
            Ok(())
        }
        13 => client.transaction(|client, transaction| {
            client.read(transaction, PATH)?;
            client.rm(transaction, PATH)
        }),
        14 => client.lists_in_parts(PATH).map(drop),
        _ => client.receive_events(),
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((operations, words)) = input.split_at_checked(4) else { return };
    let mut client = Client::new(Stream::new(words));
    for operation in operations.iter().cycle().take(12) {
        let before = client.transport().requests;
        let result = exchange(&mut client, *operation);
        let requests = client.transport().requests - before;
        assert!(requests <= 400, "{requests} requests");
        if matches!(result, Err(Error::Lost(_))) {
            return;
        }
        if let Err(error) = result {
            assert!(!error.to_string().is_empty());
        }
        while let Ok(Some(event)) = client.next_event() {
            if let Event::Fired { path, token } = event {
                assert!(!path.is_empty() && !path.contains('\0') && !token.contains('\0'));
                let _ = Path::new(path).map(|path| assert!(path.as_str().len() <= RELATIVE_MAX + 1024));
            }
        }
    }
    client.wipe();
});
