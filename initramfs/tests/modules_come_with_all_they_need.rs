//! Module selection, over a module directory made here, and over a real Debian kernel.

#[path = "common/debian.rs"]
mod debian;
#[path = "common/image.rs"]
mod image;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Output;

/// A module that says this about itself, compressed by its file's ending.
fn module(home: &Path, file: &str, modinfo: &str) {
    let text = format!("__attribute__((section(\".modinfo\"))) const char about[] = \"license=GPL\\0{modinfo}\";");
    let plain = fs::read(image::compile(home, &text, &["-c"], "module.o")).unwrap();
    let packed = match file.rsplit('.').next().unwrap() {
        "zst" => zstd::encode_all(plain.as_slice(), 1).unwrap(),
        "gz" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&plain).unwrap();
            encoder.finish().unwrap()
        }
        "xz" => {
            let options = lzma_rust2::XzOptions::with_preset(1);
            let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
            encoder.write_all(&plain).unwrap();
            encoder.finish().unwrap()
        }
        _ => plain,
    };
    let path = home.join("lib/modules/6.1-test").join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, packed).unwrap();
}

/// A kernel whose xen-netfront needs a and b, a needs c, b wants the alias crypto-d before it.
fn kernel(home: &Path) {
    module(home, "kernel/net/xen-netfront.ko.xz", "depends=a,b");
    module(home, "kernel/block/xen-blkfront.ko", "depends=");
    module(home, "kernel/a.ko.zst", "depends=c-c");
    module(home, "kernel/b.ko.gz", "depends=c-c\\0softdep=pre: crypto-d nobody post: late");
    module(home, "kernel/c_c.ko", "depends=");
    module(home, "kernel/d-generic.ko", "alias=crypto-d");
    module(home, "kernel/late.ko", "depends=");
    let modules = home.join("lib/modules/6.1-test");
    fs::write(modules.join("modules.builtin"), "kernel/fs/ext4.ko\n").unwrap();
}

fn build(home: &Path, more: &[&str]) -> Output {
    image::agent(home);
    let base = ["--agent", "agent", "--output", "i.cpio", "--kernel-modules", "."];
    image::initramfs(home, &[&base[..], more].concat())
}

fn order(home: &Path, more: &[&str]) -> String {
    let output = build(home, more);
    assert!(output.status.success(), "{output:?}");
    let found = image::entries(&home.join("i.cpio"));
    let list = String::from_utf8(found["etc/nanova/modules"].1.clone()).unwrap();
    for path in list.lines() {
        assert!(found[&path[1..]].1.starts_with(b"\x7fELF"), "{path} is not decompressed");
    }
    list.lines()
        .map(|path| path.strip_prefix("/lib/modules/").unwrap().strip_suffix(".ko").unwrap().to_owned() + " ")
        .collect()
}

#[test]
fn without_modules_dep_the_modules_themselves_are_believed() {
    let home = tempfile::tempdir().unwrap();
    kernel(home.path());
    assert_eq!(order(home.path(), &[]), "c_c a d_generic b xen_netfront xen_blkfront ");
    assert_eq!(order(home.path(), &["--module", "xen_blkfront", "--module", "a"]), "xen_blkfront c_c a ");
}

#[test]
fn modules_dep_is_believed_where_it_is_and_lists_what_to_load_last_first() {
    let home = tempfile::tempdir().unwrap();
    kernel(home.path());
    let dep = "kernel/net/xen-netfront.ko.xz: kernel/late.ko kernel/c_c.ko\nkernel/late.ko:\nkernel/c_c.ko:\n";
    fs::write(home.path().join("lib/modules/6.1-test/modules.dep"), dep).unwrap();
    assert_eq!(order(home.path(), &["--module", "xen-netfront", "--kernel", "6.1-test"]), "c_c late xen_netfront ");
}

#[test]
fn what_is_built_in_is_noted_and_what_nobody_knows_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    kernel(home.path());
    let output = build(home.path(), &["--module", "ext4"]);
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "note: ext4 is built into kernel 6.1-test; nothing to load\n"
    );
    let output = build(home.path(), &["--module", "xen-netback"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no module called xen-netback"));
}

#[test]
#[ignore = "needs apt-get"]
fn a_freshly_unpacked_debian_kernel_will_do() {
    let home = tempfile::tempdir().unwrap();
    debian::unpack(home.path(), debian::KERNEL);
    assert_eq!(order(home.path(), &[]), "xen_netfront xen_blkfront ");
    assert!(order(home.path(), &["--module", "xenfs"]).ends_with("xen_privcmd xenfs "));
    let list = order(home.path(), &["--module", "virtio-net"]);
    let (before, last) = list.trim_end().rsplit_once(' ').unwrap();
    assert_eq!(last, "virtio_net");
    assert!(before.contains("failover net_failover"), "{before}");
}
