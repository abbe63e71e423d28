//! An HTTP server's response, in pieces: the outcome is the same however it is cut, and no more comes of it than was
//! sent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::update::http::{BODY_MAX, BodyProgress, Received, request};
use nanova_core::update::url::{URL_MAX, Url};
use nanova_fuzz::pieces;

/// The body, how it ended, and where it is instead.
fn receive(input: &[u8], sizes: &[u8]) -> (Vec<u8>, Result<BodyProgress, &'static str>, String) {
    let (mut received, mut body) = (Received::default(), Vec::new());
    let mut progress = Ok(BodyProgress::More);
    for piece in pieces(input, sizes) {
        progress = received.take(piece, &mut |bytes| body.extend_from_slice(bytes));
        if progress != Ok(BodyProgress::More) {
            break;
        }
    }
    if progress == Ok(BodyProgress::More) {
        progress = received.finish();
    }
    (body, progress, received.location().to_string())
}

fuzz_target!(|input: &[u8]| {
    let Some((sizes, response)) = input.split_first_chunk::<3>() else { return };
    let whole = receive(response, &[]);
    assert!(whole.0.len() <= response.len() && whole.0.len() as u64 <= BODY_MAX);
    // What is wrong in a piece may be said before or behind what comes with it.
    let (body, progress, location) = receive(response, sizes);
    assert_eq!((&progress, &location), (&whole.1, &whole.2));
    assert!(body == whole.0, "the body is the same");
    if progress == Ok(BodyProgress::Elsewhere) {
        let here = Url::parse("http://example.org:8080/agent").expect("a URL");
        if let Ok(there) = here.redirected(&location) {
            assert!(Url::parse(&there).is_ok());
        }
    }
    let Ok(text) = std::str::from_utf8(response) else { return };
    if text.len() <= URL_MAX
        && let Ok(url) = Url::parse(text)
    {
        let request = request(&url);
        assert_eq!(request.as_str().matches("\r\n").count(), 6, "nothing of a URL is a header");
        assert!(request.as_str().ends_with("\r\n\r\n"));
    }
});
