//! Builds initramfs images.
fn main() {}
