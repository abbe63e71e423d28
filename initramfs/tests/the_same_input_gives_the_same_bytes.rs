//! Two builds, at different times, in different places, from files made in different orders.

#[path = "common/image.rs"]
mod image;

use std::fs;
use std::path::Path;

fn build(home: &Path, compression: &str, names: &[&str]) -> Vec<u8> {
    let agent = image::agent(home);
    fs::create_dir_all(home.join("tree")).unwrap();
    for name in names {
        fs::write(home.join("tree").join(name), name.repeat(100)).unwrap();
    }
    let made = ["--compress", compression, "--output", "o", "--add", "tree:/x", "--agent"];
    let output = image::initramfs(home, &[&made[..], &[agent.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{output:?}");
    assert!(image::initramfs(home, &["--help"]).status.success());
    fs::read(home.join("o")).unwrap()
}

#[test]
fn in_every_compression() {
    for compression in ["none", "gzip", "zstd"] {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = build(here.path(), compression, &["a", "b", "c"]);
        // A clock that counts seconds has moved on.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        assert!(first == build(there.path(), compression, &["c", "a", "b"]), "{compression}");
    }
}

#[test]
fn and_all_hold_the_same_archive() {
    let home = tempfile::tempdir().unwrap();
    let plain = build(home.path(), "none", &["a"]);
    assert_eq!(image::entries(&home.path().join("o")).len(), 19);
    let unzipped = {
        let mut bytes = Vec::new();
        let packed = build(home.path(), "gzip", &["a"]);
        std::io::copy(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut bytes).unwrap();
        bytes
    };
    assert!(plain == unzipped);
    assert!(plain == zstd::decode_all(build(home.path(), "zstd", &["a"]).as_slice()).unwrap());
}
