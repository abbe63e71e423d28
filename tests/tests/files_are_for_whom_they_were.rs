//! Who may read a file, and whose directory it lands in: neither access lists that a directory gives its files, nor
//! links that a user has made on the way, change what the host asked for.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use anyhow::Result;
use nanova_tests::nova::Digest;
use nanova_tests::scene::{Scene, path_and_contents};
use rustix::fs::{XattrFlags, getxattr, listxattr, setxattr};

const ACCESS: &str = "system.posix_acl_access";
/// A user who is nobody in the guest's files.
const SOMEBODY: u32 = 1234;

/// An access list as the kernel has it (`include/uapi/linux/posix_acl_xattr.h`): the owner may do all, SOMEBODY
/// `theirs`, the group may read, others nothing.
fn access_list(theirs: u16) -> Vec<u8> {
    const NOBODY_IN_PARTICULAR: u32 = u32::MAX;
    let entries = [
        (1, 7, NOBODY_IN_PARTICULAR),
        (2, theirs, SOMEBODY),
        (4, 4, NOBODY_IN_PARTICULAR),
        (16, 7, NOBODY_IN_PARTICULAR),
        (32, 0_u16, NOBODY_IN_PARTICULAR),
    ];
    let entries = entries.iter().flat_map(|(tag, may, id)| {
        let (tag, may): (u16, u16) = (*tag, *may);
        [&tag.to_le_bytes()[..], &may.to_le_bytes(), &id.to_le_bytes()].concat()
    });
    2_u32.to_le_bytes().into_iter().chain(entries).collect()
}

fn lists(path: &Path) -> Result<bool> {
    let mut room = [0; 1024];
    let len = listxattr(path, &mut room[..])?;
    Ok(room[..len].split(|byte| *byte == 0).any(|name| name == ACCESS.as_bytes()))
}

fn inject(scene: &mut Scene, path: &str, contents: &str) -> Result<nanova_tests::nova::Answer> {
    scene.host.ask("injectfile", path_and_contents(path, contents))
}

#[test]
#[ignore = "needs a temporary directory with access lists"]
fn a_directory_that_gives_its_files_an_access_list_opens_none_of_ours() -> Result<()> {
    let mut scene = Scene::new()?;
    let etc = scene.root.join("/etc");
    setxattr(&etc, "system.posix_acl_default", &access_list(7), XattrFlags::empty())?;
    // The directory's list is at work: a file that anybody else makes has it.
    fs::write(etc.join("proof"), "")?;
    assert!(lists(&etc.join("proof"))?);

    let modes = ["/etc/shadow", "/etc/motd"].map(|path| (path, scene.root.mode(path)));
    scene.host.set_password("for root alone", Digest::Sha256)?.ok()?;
    inject(&mut scene, "/etc/motd", "changed\n")?.ok()?;
    inject(&mut scene, "/etc/new", "new\n")?.ok()?;
    for (path, mode) in modes.into_iter().chain([("/etc/new", 0o600)]) {
        assert!(!lists(&scene.root.join(path))?, "{path} has got an access list");
        assert_eq!(scene.root.mode(path), mode, "{path}");
    }
    assert!(scene.root.shadow_of_root()[1].starts_with("$6$"));
    // resetnetwork's files, of which one is new and one is not.
    let (home, mut host) = (scene.xenstored.home(), scene.xenstored.host());
    host.write(&format!("{home}/vm-data/hostname"), "web01")?;
    scene.host.ask("resetnetwork", "")?;
    assert_eq!(scene.root.text("/etc/hostname"), "web01\n");
    assert!(!lists(&scene.root.join("/etc/hostname"))?);
    Ok(())
}

#[test]
#[ignore = "needs a temporary directory with access lists"]
fn a_files_own_access_list_stays_whatever_its_directory_gives() -> Result<()> {
    let mut scene = Scene::new()?;
    let (etc, motd) = (scene.root.join("/etc"), scene.root.join("/etc/motd"));
    let own = access_list(4);
    setxattr(&motd, ACCESS, &own, XattrFlags::empty())?;
    setxattr(&etc, "system.posix_acl_default", &access_list(7), XattrFlags::empty())?;
    let mode = scene.root.mode("/etc/motd");
    inject(&mut scene, "/etc/motd", "changed\n")?.ok()?;
    let mut room = [0; 1024];
    let len = getxattr(&motd, ACCESS, &mut room[..])?;
    assert_eq!((&room[..len], scene.root.mode("/etc/motd")), (&own[..], mode));
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn a_users_link_does_not_lead_the_hosts_file_to_root() -> Result<()> {
    let mut scene = Scene::new()?;
    let join = |path: &str| scene.root.join(path);
    for directory in ["/root/.ssh", "/home/u", "/srv/theirs/deep", "/srv/shared"] {
        fs::create_dir_all(join(directory))?;
    }
    chown(join("/home/u"), Some(SOMEBODY), None)?;
    chown(join("/srv/theirs"), Some(SOMEBODY), None)?;
    fs::set_permissions(join("/srv/shared"), Permissions::from_mode(0o1777))?;
    let links = [
        ("/home/u/.ssh", SOMEBODY),
        ("/home/u/roots", 0),
        ("/srv/theirs/deep/roots", 0),
        ("/srv/shared/roots", 0),
        ("/srv/users", SOMEBODY),
    ];
    for (path, owner) in links {
        symlink("/root/.ssh", join(path))?;
        lchown(join(path), Some(owner), None)?;
    }
    let owner = |link: &str| format!("{link} is a symbolic link of user {SOMEBODY}");
    let below = |link: &str| format!("{link} is a symbolic link below a directory of user {SOMEBODY}");
    let refused = [
        ("/home/u/.ssh/authorized_keys", owner("/home/u/.ssh")),
        ("/home/u/.ssh/new/file", owner("/home/u/.ssh")),
        ("/home/u/roots/authorized_keys", below("/home/u/roots")),
        ("/srv/theirs/deep/roots/x", below("/srv/theirs/deep/roots")),
        ("/srv/shared/roots/x", "/srv/shared/roots is a symbolic link below a directory that others may write".into()),
        ("/srv/users/x", owner("/srv/users")),
    ];
    // Its note is there.
    scene.agent.wait_until_serving();
    let before = scene.root.files();
    for (path, why) in refused {
        let answer = inject(&mut scene, path, "key\n")?;
        let expected = ("500", format!("{why}: it is not followed; name the path without it"));
        assert_eq!((answer.code.as_str(), answer.message), expected, "{path}");
    }
    assert_eq!(scene.root.files(), before, "nothing was written");

    // root's own link, where root alone may write, is a way like any other.
    let join = |path: &str| scene.root.join(path);
    fs::rename(join("/srv/users"), join("/srv/shared/moved"))?;
    symlink("../home/u", join("/srv/roots"))?;
    inject(&mut scene, "/srv/roots/file", "theirs\n")?.ok()?;
    let file = scene.root.join("/home/u/file");
    assert_eq!((fs::read_to_string(&file)?.as_str(), fs::metadata(&file)?.uid()), ("theirs\n", 0));
    // Behind it nothing is root's alone any more.
    let answer = inject(&mut scene, "/srv/roots/.ssh/authorized_keys", "key\n")?;
    assert!(answer.message.starts_with(&owner("/srv/roots/.ssh")), "{}", answer.message);
    Ok(())
}

#[test]
#[ignore = "needs root and strace"]
fn links_are_judged_on_a_kernel_without_openat2_as_well() -> Result<()> {
    let mut scene = Scene::new()?;
    let options = ["-o", "/dev/null", "-e", "trace=openat2", "-e", "inject=openat2:error=ENOSYS"];
    let mut command = nanova_tests::strace::nanova(options);
    command.arg("agent").arg("--xenbus").arg(scene.xenstored.guest_socket()).arg("--root").arg(scene.root.path());
    scene.agent = nanova_tests::agent::Agent::spawn(command);
    let join = |path: &str| scene.root.join(path);
    fs::create_dir_all(join("/usr/lib"))?;
    symlink("usr/lib", join("/lib"))?;
    symlink("/root", join("/theirs"))?;
    lchown(join("/theirs"), Some(SOMEBODY), None)?;
    inject(&mut scene, "/lib/a/b", "x")?.ok()?;
    assert_eq!(scene.root.text("/usr/lib/a/b"), "x");
    let answer = inject(&mut scene, "/theirs/file", "x")?;
    assert!(answer.message.starts_with("/theirs is a symbolic link of user 1234"), "{}", answer.message);
    Ok(())
}
