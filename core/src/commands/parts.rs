//! `file_inject` with an `offset`: a part of a file that is longer than a request. `features` has it as
//! [`PARTS`]; a site's list of disabled commands turns it off by that name, and with `file_inject`.
//!
//! Beside `b64_path` and `b64_file`, which has the part's bytes, each part has `offset`, the number of bytes before it,
//! and of the whole file `size`, its bytes, and `b64_sha256`, its sum. A part is answered with how many bytes are
//! there, the last one as `file_inject` is.

use zeroize::Zeroizing;

use crate::commands::disabled::is_disabled;
use crate::commands::inject::{DecodingRoom, field, path_and_bytes};
use crate::commands::response::{Code, Response};
use crate::files::parts::{Added, Parts, Whole};
use crate::platform::{Clock, Files, Log};
use crate::wire::json::Value;
use crate::wire::sha256::Sum;
use crate::wire::text::number;
use crate::wire::xenstore::PAYLOAD_MAX;

/// What `features` calls it.
pub const PARTS: &str = "file_inject_parts";

/// The number of bytes before a part; none if the value is no part.
fn offset(value: Value<'_>) -> Value<'_> {
    field(value, "offset")
}

/// Whether the value of `file_inject` is a part.
pub fn is_part(value: Value<'_>) -> bool {
    offset(value) != Value::Missing
}

/// Whether it is one that follows another: of these there are thousands, and the log has the first.
pub fn is_later_part(value: Value<'_>) -> bool {
    is_part(value) && offset(value) != Value::Number("0")
}

/// Adds a part to a file.
#[inline(never)]
pub fn file_part<P: Files + Clock + Log>(value: Value<'_>, parts: &mut Parts, platform: &mut P) -> Response {
    if is_disabled(platform, PARTS) {
        return Response::failed(format_args!("files in parts are disabled here ({PARTS} in /etc/nanova/disable)"));
    }
    let mut room = DecodingRoom::new([0; PAYLOAD_MAX]);
    let (path, bytes) = match path_and_bytes(value, &mut room) {
        Ok(decoded) => decoded,
        Err(response) => return response,
    };
    let numbers = ["offset", "size"].map(|name| match field(value, name) {
        Value::Number(text) => number(text),
        _ => None,
    });
    let ([Some(offset), Some(size)], Some(sum)) = (numbers, sum(value)) else {
        return Response::failed(format_args!("Invalid arguments: a part needs offset, size and b64_sha256"));
    };
    match parts.add(platform, &Whole { path, size, sum }, offset, bytes) {
        Ok(Added::Part(have)) => Response::new(Code::Done, format_args!("{have}")),
        Ok(Added::Last(unsynced)) => Response::done_and(unsynced),
        Err(error) => Response::failed(format_args!("{error}")),
    }
}

fn sum(value: Value<'_>) -> Option<Sum> {
    let Value::Text(text) = field(value, "b64_sha256") else { return None };
    let mut room = Zeroizing::new([0; 64]);
    text.base64(&mut room[..])?.try_into().ok()
}
