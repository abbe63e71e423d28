//! The kernel's command line, and the image's own: words as the kernel cuts them, every part a part of the line; the
//! same options a second time change nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::boot::options::Boot;

fuzz_target!(|input: &str| {
    let (image, kernel) = input.split_once('\n').unwrap_or(("", input));
    let mut boot = Boot::default();
    let wrong = boot.read(image);
    assert!(wrong.is_none_or(|word| image.contains(word) && word.contains("nanova.")));
    let wrong = boot.read(kernel);
    let once = boot;
    assert_eq!((boot.read(kernel), boot), (wrong, once), "the same words say the same");
    for value in [boot.exec, boot.root, boot.root_type, boot.init].into_iter().flatten() {
        assert!(!value.is_empty() && (image.contains(value) || kernel.contains(value)));
    }
});
