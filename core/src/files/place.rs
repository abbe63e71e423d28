//! Where a file that is edited lies: at its path, or where links of root's lead to from there. Images whose root is
//! read-only or made anew at every boot keep what has to last elsewhere, with a link in its place.

use crate::files::at;
use crate::platform::{FileError, FileKind, Files, GuestPath, LinkNotFollowed, LinkTarget};
use crate::wire::errno::Errno;

/// What is at the path of a file that is to be edited.
pub(crate) enum Found<'p> {
    /// Nothing.
    Missing,
    /// A regular file, which lies here.
    File(GuestPath<'p>),
    /// A link that leads nowhere.
    Dangling,
    /// A link that somebody else than root can have made.
    Distrusted(LinkNotFollowed<'p>),
    /// A directory or a device, or a link to one.
    NotAFile,
}

/// Looks for it.
#[inline(never)]
pub(crate) fn find<'p, F: Files>(
    files: &mut F,
    path: GuestPath<'p>,
    room: &'p mut LinkTarget,
) -> Result<Found<'p>, FileError<'p>> {
    let target = match files.kind(path) {
        Ok(None) => return Ok(Found::Missing),
        Ok(Some(FileKind::Regular)) => return Ok(Found::File(path)),
        Ok(Some(FileKind::Symlink)) => files.link_target(path),
        Ok(Some(FileKind::Directory | FileKind::Other)) => return Ok(Found::NotAFile),
        Err(errno) => Err(errno),
    };
    match target {
        Ok(target) => *room = target,
        Err(Errno::NOENT) => return Ok(Found::Dangling),
        Err(Errno::ISDIR | Errno::NOTDIR) => return Ok(Found::NotAFile),
        Err(errno) => {
            let distrusted = files.link_not_followed(path).filter(|_| errno == Errno::LOOP);
            let Some((len, why)) = distrusted else { return at("look at", path, Err(errno)) };
            let link = path.as_str().get(..len).unwrap_or_default();
            return Ok(Found::Distrusted(LinkNotFollowed { link, why }));
        }
    }
    // What is no path here has a name that nobody gives a file of the system's.
    Ok(GuestPath::new(room).map_or(Found::NotAFile, Found::File))
}
