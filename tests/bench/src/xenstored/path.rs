//! Paths: what a client writes, made absolute and checked.
//!
//! Guarantees: a path that came out of [`absolute`] is made of `[A-Za-z0-9-/_@]`, begins with `/` (or `@` for the two
//! special watches), has no empty part and fits the limits. Refuses everything else with EINVAL.

use super::quota::Quotas;
use super::wire::Errno;

/// No path may be longer, not even dom0's.
const ABSOLUTE_MAX: usize = 3072;

/// The home of a domain, where its relative paths begin.
pub(super) fn home(domid: u32) -> String {
    format!("/local/domain/{domid}")
}

/// The absolute path of a node. A name like `@releaseDomain` is let through only where a watch or a permission is
/// meant.
pub(super) fn absolute(domid: u32, path: &[u8], special: bool, quotas: &Quotas) -> Result<String, Errno> {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-/_@".contains(byte);
    if !path.iter().all(legal) {
        return Err(Errno::Einval);
    }
    let path = std::str::from_utf8(path).expect("checked: ASCII");
    if path.starts_with('@') {
        return if special { Ok(path.to_owned()) } else { Err(Errno::Einval) };
    }
    let path = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", home(domid)) };
    let well_formed = path == "/" || (!path.ends_with('/') && !path.contains("//"));
    let fits = path.len() <= ABSOLUTE_MAX && (domid == 0 || below_home(&path).len() <= quotas.path);
    if well_formed && fits { Ok(path) } else { Err(Errno::Einval) }
}

/// What counts for the quota: `/local/domain/<n>/` is free.
fn below_home(path: &str) -> &str {
    let rest = path.strip_prefix("/local/domain/").and_then(|rest| rest.split_once('/'));
    match rest {
        Some((domid, rest)) if !domid.is_empty() && domid.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => path,
    }
}

/// The path of a child.
pub(super) fn join(parent: &str, name: &str) -> String {
    if parent == "/" { format!("/{name}") } else { format!("{parent}/{name}") }
}

/// The parent of a node and the node's own name. The root is its own parent, without a name.
pub(super) fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((parent, name)) => (parent, name),
        None => ("/", path),
    }
}

/// Is this the node itself, or below it?
pub(super) fn is_within(path: &str, node: &str) -> bool {
    node == "/" || path.strip_prefix(node).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(path: &str) -> Result<String, Errno> {
        absolute(7, path.as_bytes(), false, &Quotas::default())
    }

    #[test]
    fn relative_paths_begin_at_home() {
        assert_eq!(guest("data/host").unwrap(), "/local/domain/7/data/host");
        assert_eq!(guest("/tool").unwrap(), "/tool");
        assert_eq!(guest("/").unwrap(), "/");
    }

    #[test]
    fn malformed_paths_are_einval() {
        for bad in ["", "a/", "/a/", "a//b", "//", "a b", "a.b", "a\0", "@releaseDomain", "a:b", "ä"] {
            assert_eq!(guest(bad), Err(Errno::Einval), "{bad:?}");
        }
        assert!(absolute(7, b"@releaseDomain", true, &Quotas::default()).is_ok());
    }

    #[test]
    fn the_limits_are_2048_below_home_and_3072_for_dom0() {
        assert!(guest(&"a".repeat(2048)).is_ok());
        assert!(guest(&"a".repeat(2049)).is_err());
        assert!(guest(&format!("/local/domain/7/{}", "a".repeat(2048))).is_ok());
        assert!(guest(&format!("/{}", "a".repeat(2047))).is_ok());
        assert!(guest(&format!("/{}", "a".repeat(2048))).is_err());
        let dom0 = |len: usize| absolute(0, format!("/{}", "a".repeat(len - 1)).as_bytes(), false, &Quotas::default());
        assert!(dom0(3072).is_ok());
        assert!(dom0(3073).is_err());
    }

    #[test]
    fn a_path_is_within_itself_and_its_ancestors() {
        assert!(is_within("/a/b", "/a/b") && is_within("/a/b", "/a") && is_within("/a/b", "/"));
        assert!(!is_within("/a/bc", "/a/b") && !is_within("/a", "/a/b"));
        assert_eq!(split("/a/b"), ("/a", "b"));
        assert_eq!(split("/a"), ("/", "a"));
        assert_eq!(split("/"), ("/", ""));
    }
}
