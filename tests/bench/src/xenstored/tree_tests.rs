//! Tests of tree.rs: who may do what, what it costs, and which error says no.

use super::*;

/// The tree most tests begin with: the guest's home as dom0 makes it, one directory of its own, one hidden key.
fn store() -> Store {
    let mut store = Store::new();
    for (path, perms) in [
        ("/local/domain/7", &["n0", "r7"][..]),
        ("/local/domain/7/data", &["n7"]),
        ("/local/domain/7/hidden", &["n0"]),
        ("/local/domain/7/hidden/below", &["n0"]),
        ("/local/domain/8", &["n0", "r8"]),
    ] {
        act(&mut store, 0, |view| view.mkdir(path)).unwrap();
        act(&mut store, 0, |view| view.set_perms(path, perms_of(perms))).unwrap();
    }
    store
}

fn perms_of(strings: &[&str]) -> Perms {
    Perms::parse(&strings.iter().map(|s| s.as_bytes()).collect::<Vec<_>>()).unwrap()
}

fn act<T>(store: &mut Store, domid: u32, act: impl FnOnce(&mut View) -> Result<T, Errno>) -> Result<T, Errno> {
    act_within(store, domid, &Quotas::default(), act)
}

fn act_within<T>(
    store: &mut Store,
    domid: u32,
    quotas: &Quotas,
    act: impl FnOnce(&mut View) -> Result<T, Errno>,
) -> Result<T, Errno> {
    act(&mut View { store, transaction: None, domid, quotas, changes: Vec::new() })
}

/// The paths of the changes an act leaves, exact ones in brackets.
fn changes_of(store: &mut Store, domid: u32, act: impl FnOnce(&mut View) -> Result<(), Errno>) -> Vec<String> {
    let quotas = Quotas::default();
    let mut view = View { store, transaction: None, domid, quotas: &quotas, changes: Vec::new() };
    act(&mut view).unwrap();
    let name = |change: Change| if change.exact { format!("[{}]", change.path) } else { change.path };
    view.changes.into_iter().map(name).collect()
}

fn perms(store: &Store, path: &str) -> String {
    String::from_utf8(store.get(path).unwrap().perms.to_bytes()).unwrap().replace('\0', " ")
}

#[test]
fn a_guest_owns_what_it_makes_and_dom0s_nodes_inherit() {
    let mut store = store();
    act(&mut store, 7, |view| view.write("/local/domain/7/data/guest/x", b"1")).unwrap();
    assert_eq!(perms(&store, "/local/domain/7/data/guest"), "n7 ");
    act(&mut store, 0, |view| view.write("/local/domain/7/data/host/x", b"1")).unwrap();
    assert_eq!(perms(&store, "/local/domain/7/data/host/x"), "n7 ");
    act(&mut store, 0, |view| view.write("/local/domain/7/vm-data/x", b"1")).unwrap();
    assert_eq!(perms(&store, "/local/domain/7/vm-data/x"), "n0 r7 ");
    act(&mut store, 0, |view| view.write("/shared", b"")).unwrap();
    act(&mut store, 0, |view| view.set_perms("/shared", perms_of(&["n0", "b7"]))).unwrap();
    act(&mut store, 7, |view| view.write("/shared/x", b"")).unwrap();
    assert_eq!(perms(&store, "/shared/x"), "n7 b7 ");
    act(&mut store, 7, |view| view.rm("/shared/x")).unwrap();
    // data, guest, guest/x, host, host/x: dom0's count too, because they are the guest's.
    assert_eq!(store.owned(7).now, 5);
}

#[test]
fn a_missing_node_is_enoent_only_where_its_parent_is_open() {
    let mut store = store();
    let mut read = |path: &str| act(&mut store, 7, |view| view.read(path)).map(drop).unwrap_err();
    assert_eq!(read("/local/domain/7/nothing"), Errno::Enoent);
    assert_eq!(read("/local/domain/7/nothing/below"), Errno::Enoent);
    assert_eq!(read("/local/domain/7/hidden"), Errno::Eacces);
    assert_eq!(read("/local/domain/7/hidden/below"), Errno::Eacces);
    assert_eq!(read("/local/domain/7/hidden/nothing"), Errno::Eacces);
    assert_eq!(read("/local/domain/8/nothing"), Errno::Eacces);
    assert_eq!(read("/nothing"), Errno::Eacces);
}

#[test]
fn a_guest_makes_nothing_where_it_may_only_read() {
    let mut store = store();
    let mut write = |path: &str| act(&mut store, 7, |view| view.write(path, b"")).unwrap_err();
    assert_eq!(write("/local/domain/7/vm-data/x"), Errno::Eacces);
    assert_eq!(write("/local/domain/7"), Errno::Eacces);
    assert_eq!(write("/tool"), Errno::Eacces);
    assert_eq!(act(&mut store, 7, |view| view.rm("/local/domain/7/hidden")), Err(Errno::Eacces));
    assert_eq!(act(&mut store, 7, |view| view.mkdir("/local/domain/7/new")), Err(Errno::Eacces));
}

#[test]
fn rm_of_a_missing_node_is_fine_below_a_parent() {
    let mut store = store();
    assert_eq!(act(&mut store, 7, |view| view.rm("/local/domain/7/data/no")), Ok(()));
    assert_eq!(act(&mut store, 7, |view| view.rm("/local/domain/7/data/no/no")), Err(Errno::Enoent));
    assert_eq!(act(&mut store, 0, |view| view.rm("/")), Err(Errno::Einval));
}

#[test]
fn rm_tells_the_deepest_first_and_only_the_top_to_the_subtrees() {
    let mut store = store();
    act(&mut store, 7, |view| view.write("/local/domain/7/data/a/b", b"")).unwrap();
    let changes = changes_of(&mut store, 7, |view| view.rm("/local/domain/7/data/a"));
    assert_eq!(changes, ["[/local/domain/7/data/a/b]", "/local/domain/7/data/a"]);
    assert!(store.get("/local/domain/7/data").unwrap().children.is_empty());
    assert!(store.get("/local/domain/7/data/a/b").is_none());
    assert_eq!(store.owned(7).now, 1);
}

#[test]
fn writing_deep_tells_the_leaf_only_and_mkdir_of_a_node_tells_nothing() {
    let mut store = store();
    let path = "/local/domain/7/data/x/y";
    assert_eq!(changes_of(&mut store, 7, |view| view.write(path, b"")), [path]);
    assert!(changes_of(&mut store, 7, |view| view.mkdir(path)).is_empty());
}

#[test]
fn the_count_of_nodes_binds_the_guest_and_not_dom0() {
    let mut store = store();
    let quotas = Quotas { nodes: 2, ..Quotas::default() };
    let mut write = |domid, path: &str| act_within(&mut store, domid, &quotas, |view| view.write(path, b""));
    assert_eq!(write(7, "/local/domain/7/data/a"), Ok(()));
    assert_eq!(write(7, "/local/domain/7/data/b"), Err(Errno::Enospc));
    assert_eq!(write(7, "/local/domain/7/data/a"), Ok(()));
    assert_eq!(write(0, "/local/domain/7/data/b"), Ok(()));
    assert_eq!(store.owned(7).now, 3);
}

#[test]
fn the_size_counts_value_permissions_and_names() {
    let mut store = store();
    let mut write =
        |domid, len: usize| act(&mut store, domid, |view| view.write("/local/domain/7/data/x", &vec![b'x'; len]));
    // 24 for the header and 8 for the one permission, and the sum must stay below 2048.
    assert_eq!(write(7, 2047 - 32), Ok(()));
    assert_eq!(write(7, 2048 - 32), Err(Errno::Enospc));
    assert_eq!(write(0, 4000), Ok(()));
    let made = (0..1000)
        .take_while(|i| act(&mut store, 7, |view| view.write(&format!("/local/domain/7/data/d/{i}"), b"")).is_ok());
    // The number measured with a real xenstored 4.17.
    assert_eq!(made.count(), 531);
}

#[test]
fn only_dom0_gives_a_node_away() {
    let mut store = store();
    let data = "/local/domain/7/data";
    assert_eq!(act(&mut store, 7, |view| view.set_perms(data, perms_of(&["n0"]))), Err(Errno::Eperm));
    assert_eq!(act(&mut store, 7, |view| view.set_perms("/local/domain/7", perms_of(&["n7"]))), Err(Errno::Eacces));
    let six = perms_of(&["n7", "r1", "r2", "r3", "r4", "r5"]);
    assert_eq!(act(&mut store, 7, |view| view.set_perms(data, six)), Err(Errno::Enospc));
    assert_eq!(act(&mut store, 7, |view| view.set_perms(data, perms_of(&["n7", "r8"]))), Ok(()));
    assert!(act(&mut store, 8, |view| view.read(data)).is_ok());
    assert_eq!(act(&mut store, 0, |view| view.set_perms(data, perms_of(&["n0"]))), Ok(()));
    assert_eq!(store.owned(7).now, 0);
}

#[test]
fn two_transactions_that_make_nodes_in_one_directory_conflict() {
    let mut store = store();
    let quotas = Quotas::default();
    let mut both = [Transaction::new(store.snapshot()), Transaction::new(store.snapshot())];
    for (i, transaction) in both.iter_mut().enumerate() {
        let mut view =
            View { store: &mut store, transaction: Some(transaction), domid: 7, quotas: &quotas, changes: Vec::new() };
        view.write(&format!("/local/domain/7/data/{i}"), b"").unwrap();
        assert!(view.changes.is_empty(), "watches hear of it at the commit");
    }
    let [first, second] = both;
    assert_eq!(changes_of(&mut store, 7, |view| view.commit(first)), ["/local/domain/7/data/0"]);
    assert_eq!(act(&mut store, 7, |view| view.commit(second)), Err(Errno::Eagain));
    assert!(store.get("/local/domain/7/data/1").is_none());
}

#[test]
fn a_full_domain_can_still_swap_one_node_for_another_in_a_transaction() {
    let mut store = store();
    act(&mut store, 7, |view| view.write("/local/domain/7/data/a", b"")).unwrap();
    let quotas = Quotas { nodes: 2, ..Quotas::default() };
    let mut transaction = Transaction::new(store.snapshot());
    let transaction_ref = Some(&mut transaction);
    let mut view =
        View { store: &mut store, transaction: transaction_ref, domid: 7, quotas: &quotas, changes: Vec::new() };
    assert_eq!(view.write("/local/domain/7/data/b", b""), Err(Errno::Enospc));
    view.rm("/local/domain/7/data/a").unwrap();
    view.write("/local/domain/7/data/b", b"").unwrap();
    act_within(&mut store, 7, &quotas, |view| view.commit(transaction)).unwrap();
    assert_eq!(store.get("/local/domain/7/data").unwrap().children, b"b\0");
}
