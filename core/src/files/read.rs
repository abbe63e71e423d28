//! Reading files of the guest's: the start of one, or all of it line by line. Links are followed, wherever they lead
//! below the root: much below /etc is a link, on some distributions all of it.

use crate::files::at;
use crate::platform::{FileError, Files, GuestPath, Level, Log};
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
    while filled < room.len() {
        match at("read", path, files.read(&mut file, &mut room[filled..]))? {
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
        let len = files.read(&mut file, &mut room[filled..])?;
        filled += len;
        let (mut start, text) = (0, &room[..filled]);
        // The last line need not end in a newline.
        while let Some(newline) = text[start..]
            .iter()
            .position(|byte| *byte == b'\n')
            .or((len == 0 && start < filled).then_some(filled - start))
        {
            let line = core::str::from_utf8(&text[start..start + newline]);
            each(line.ok().filter(|_| !too_long));
            (start, too_long) = (filled.min(start + newline + 1), false);
        }
        if len == 0 {
            return Ok(());
        }
        room.copy_within(start..filled, 0);
        filled -= start;
        if filled == room.len() {
            (filled, too_long) = (0, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_platform::FakePlatform;

    #[test]
    fn lines_too_long_are_passed_over_and_no_others() {
        let text = format!("a\n{}\nb\n{}\n\nc\nunfinished", "x".repeat(1024), "y".repeat(5000));
        let mut platform = FakePlatform::with(&[("/f", &text)]);
        let mut lines = std::vec::Vec::new();
        for_each_line(&mut platform, GuestPath::literal("/f"), &mut |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines, ["a", "b", "", "c", "unfinished"]);
    }
}
