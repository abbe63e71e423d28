//! Reading files of the guest's: the start of one, or all of it line by line. Links are followed, wherever they lead
//! below the root: much below /etc is a link, on some distributions all of it.

use crate::files::at;
use crate::platform::{FileError, Files, GuestPath, Level, Log};
use crate::wire::buffer::forget_start;
use crate::wire::errno::Errno;

/// The start of a file; nothing if there is none.
#[inline(never)]
pub(crate) fn read_start<'a, F: Files>(
    files: &mut F,
    path: GuestPath<'a>,
    room: &mut [u8],
) -> Result<Option<usize>, FileError<'a>> {
    let mut file = match files.open_linked(path) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        file => at("open", path, file)?,
    };
    let mut filled = 0;
    while let Some(rest @ [_, ..]) = room.get_mut(filled..) {
        match at("read", path, files.read(&mut file, rest))? {
            0 => break,
            len => filled += len,
        }
    }
    Ok(Some(filled))
}

/// The start of a file that is only told about: one that cannot be read is left out, and the log says so.
pub(crate) fn read_start_if_possible<P: Files + Log>(
    platform: &mut P,
    path: GuestPath<'_>,
    room: &mut [u8],
) -> Option<usize> {
    read_start(platform, path, room).unwrap_or_else(|error| {
        platform.log(Level::Warn, format_args!("{error}; left out"));
        None
    })
}

/// Calls `each` with a file's contents in pieces, and then with none.
pub(crate) fn for_each_piece<F: Files>(
    files: &mut F,
    path: GuestPath<'_>,
    each: &mut dyn FnMut(&[u8]),
) -> Result<(), Errno> {
    let mut file = files.open_linked(path)?;
    let mut room = [0; 1024];
    loop {
        let len = files.read(&mut file, &mut room)?;
        each(room.get(..len).ok_or(Errno::IO)?);
        if len == 0 {
            return Ok(());
        }
    }
}

/// Calls `each` with every line of a file. A line that is no text, or longer than a kilobyte, is passed over.
pub fn for_each_line<F: Files>(files: &mut F, path: GuestPath<'_>, each: &mut dyn FnMut(&str)) -> Result<(), Errno> {
    for_each_line_or_gap(files, path, &mut |line| line.into_iter().for_each(&mut *each))
}

/// The same, and `None` where a line is no text or longer than a kilobyte.
#[inline(never)]
pub fn for_each_line_or_gap<F: Files>(
    files: &mut F,
    path: GuestPath<'_>,
    each: &mut dyn FnMut(Option<&str>),
) -> Result<(), Errno> {
    let mut file = files.open_linked(path)?;
    let (mut room, mut filled, mut too_long) = ([0; 1024], 0, false);
    loop {
        let len = files.read(&mut file, room.get_mut(filled..).unwrap_or_default())?;
        filled += len;
        let mut left = 0;
        for part in room.get(..filled).ok_or(Errno::IO)?.split_inclusive(|byte| *byte == b'\n') {
            // The last line need not end in a newline.
            let Some(line) = part.strip_suffix(b"\n").or((len == 0).then_some(part)) else {
                left = part.len();
                break;
            };
            each(core::str::from_utf8(line).ok().filter(|_| !too_long));
            too_long = false;
        }
        if len == 0 {
            return Ok(());
        }
        forget_start(&mut room, filled - left);
        filled = left;
        if filled == room.len() {
            (filled, too_long) = (0, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_platform::FakePlatform;

    const FILE: GuestPath<'static> = GuestPath::literal("/f");

    #[test]
    fn the_start_of_a_file_is_as_much_as_there_is_room_for() {
        for piece in [1, 3, 100] {
            let mut platform = FakePlatform::with(&[("/f", "0123456789")]);
            platform.piece = piece;
            for (room, read) in [(0, ""), (4, "0123"), (10, "0123456789"), (20, "0123456789")] {
                let mut bytes = vec![b'.'; room];
                let len = read_start(&mut platform, FILE, &mut bytes).unwrap().unwrap();
                assert_eq!((&bytes[..len], len), (read.as_bytes(), read.len()), "{piece} {room}");
            }
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_none_and_one_that_cannot_be_read_an_error() {
        let mut room = [0; 8];
        for (errno, is_none) in
            [(Errno::NOENT, true), (Errno::NOTDIR, true), (Errno::ACCES, false), (Errno::LOOP, false)]
        {
            let mut platform = FakePlatform::with(&[("/f", "x")]);
            platform.fail = Some((0, errno));
            match read_start(&mut platform, FILE, &mut room) {
                Ok(None) => assert!(is_none, "{errno}"),
                other => assert_eq!((other, is_none), (Err(FileError { action: "open", path: FILE, errno }), false)),
            }
            let mut platform = FakePlatform::with(&[("/f", "x")]);
            platform.fail = Some((1, errno));
            let failed = Err(FileError { action: "read", path: FILE, errno });
            assert_eq!(read_start(&mut platform, FILE, &mut room), failed);
            platform.fail = Some((1, errno));
            assert_eq!(read_start_if_possible(&mut platform, FILE, &mut room), None);
            assert_eq!(platform.logged(), format!("cannot read /f: {errno}; left out"));
        }
        let mut platform = FakePlatform::with(&[("/f", "x")]);
        assert_eq!(read_start_if_possible(&mut platform, FILE, &mut room), Some(1));
        assert_eq!(read_start_if_possible(&mut platform, GuestPath::literal("/g"), &mut room), None);
        assert_eq!(platform.logged(), "");
    }

    #[test]
    fn lines_are_the_same_in_pieces_of_any_size_and_what_is_no_text_is_a_gap() {
        let text =
            [&b"a\n\ncaf\xe9\n"[..], &[b'x'; 1023], b"\n", &[b'y'; 1024], b"\n", &[b'z'; 3000], b"\nlast"].concat();
        let x = "x".repeat(1023);
        let wanted = [Some("a"), Some(""), None, Some(&x), None, None, Some("last")];
        for piece in [1, 2, 5, 1000, 5000] {
            let mut platform = FakePlatform::with(&[("/f", "")]);
            let node = crate::test_platform::Node::File { contents: text.clone(), mode: 0o644 };
            platform.nodes.insert("/f".to_owned(), node);
            platform.piece = piece;
            let mut lines = std::vec::Vec::new();
            let read = for_each_line_or_gap(&mut platform, FILE, &mut |line| lines.push(line.map(str::to_owned)));
            assert_eq!(read, Ok(()));
            assert!(lines.iter().map(Option::as_deref).eq(wanted), "{piece}: {lines:?}");
            let mut count = 0;
            for_each_line(&mut platform, FILE, &mut |_| count += 1).unwrap();
            assert_eq!(count, 4);
        }
        for (operation, errno) in [(0, Errno::NOENT), (1, Errno::IO), (2, Errno::IO)] {
            let mut platform = FakePlatform::with(&[("/f", "x")]);
            platform.fail = Some((operation, errno));
            assert_eq!(for_each_line(&mut platform, FILE, &mut |_| {}), Err(errno));
        }
    }

    #[test]
    fn lines_too_long_are_passed_over_and_no_others() {
        let text = format!("a\n{}\nb\n{}\n\nc\nunfinished", "x".repeat(1024), "y".repeat(5000));
        let mut platform = FakePlatform::with(&[("/f", &text)]);
        let mut lines = std::vec::Vec::new();
        for_each_line(&mut platform, GuestPath::literal("/f"), &mut |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines, ["a", "b", "", "c", "unfinished"]);
    }
}
