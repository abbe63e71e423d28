//! Links the binary without a C library: its own `_start`, static, at a fixed address.
//!
//! These flags are for the binary alone, so they stand here: in `.cargo/config.toml` they would reach build scripts and
//! procedural macros, too. The address is fixed, as a static-PIE binary would have to relocate itself before its first
//! instruction of Rust.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A debug build has variables of core's own; all that it needs of a script is what is thrown away.
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let script = if release { "release.ld" } else { "discard.ld" };
    println!("cargo::rerun-if-changed={script}");
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}/{script}", env!("CARGO_MANIFEST_DIR"));
    for flag in [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none",
        "-Wl,--no-eh-frame-hdr",
        "-Wl,-z,noexecstack",
        // What is to be read-only after relocation: there is none, and nobody who would do it. Its padding is up to a
        // page.
        "-Wl,-z,norelro",
        // GNU ld would fill pages between code and constants: up to 8 KB of zeros.
        "-Wl,-z,noseparate-code",
    ] {
        println!("cargo::rustc-link-arg-bins={flag}");
    }
}
