//! `injectfile` and `file_inject`: write a file that the host sends.

use zeroize::Zeroizing;

use crate::commands::response::Response;
use crate::files::inject::inject;
use crate::platform::{Clock, Files, GuestPath, Log};
use crate::wire::json::walk::member;
use crate::wire::json::{Text, Value};
use crate::wire::xenstore::PAYLOAD_MAX;

/// DecodingRoom for everything that one request can carry.
type DecodingRoom = Zeroizing<[u8; PAYLOAD_MAX]>;

/// Why no file could be made of the argument.
enum ArgumentError {
    NotBase64,
    Invalid(&'static str),
}

impl ArgumentError {
    fn response(&self) -> Response {
        match self {
            ArgumentError::NotBase64 => Response::failed(format_args!("Error doing base64 decoding of data")),
            ArgumentError::Invalid(why) => Response::failed(format_args!("Invalid arguments: {why}")),
        }
    }
}

/// `injectfile`: base64 of `path,contents`; the first comma splits, the contents are any bytes.
pub fn injectfile<P: Files + Clock + Log>(value: Value<'_>, platform: &mut P) -> Response {
    let mut room = DecodingRoom::new([0; PAYLOAD_MAX]);
    let parts = match value {
        Value::Text(text) => decode(text, &mut room[..]).and_then(|bytes| {
            let mut parts = bytes.splitn(2, |byte| *byte == b',');
            let parts = parts.next().zip(parts.next());
            parts.ok_or(ArgumentError::Invalid("no comma between path and contents"))
        }),
        _ => Err(ArgumentError::Invalid("base64 of 'path,contents' is needed")),
    };
    match parts {
        Ok((path, contents)) => write(path, contents, platform),
        Err(error) => error.response(),
    }
}

/// `file_inject`: path and contents as base64 each.
pub fn file_inject<P: Files + Clock + Log>(value: Value<'_>, platform: &mut P) -> Response {
    let text = |name| match value {
        Value::Object(object) => match member(object, &[name]).map(Value::of) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        },
        _ => None,
    };
    let (Some(path), Some(contents)) = (text("b64_path"), text("b64_file")) else {
        return ArgumentError::Invalid("an object with b64_path and b64_file is needed").response();
    };
    // Decoded they are shorter than the packet in which both of them were.
    let mut room = DecodingRoom::new([0; PAYLOAD_MAX]);
    let decoded = decode(path, &mut room[..]).map(<[u8]>::len).and_then(|len| {
        let len = len.min(room.len());
        let (path, room) = room.split_at_mut(len);
        Ok((&*path, decode(contents, room)?))
    });
    match decoded {
        Ok((path, contents)) => write(path, contents, platform),
        Err(error) => error.response(),
    }
}

/// Decodes base64, white space in it passed over: old hosts break lines.
fn decode<'a>(text: Text<'_>, room: &'a mut [u8]) -> Result<&'a [u8], ArgumentError> {
    text.base64(room).ok_or(ArgumentError::NotBase64)
}

fn write<P: Files + Clock + Log>(path: &[u8], contents: &[u8], platform: &mut P) -> Response {
    let path = match core::str::from_utf8(path).map(GuestPath::new) {
        Ok(Ok(path)) => path,
        Ok(Err(why)) => return Response::failed(format_args!("Invalid arguments: {why}")),
        Err(_) => return ArgumentError::Invalid("the path is not UTF-8").response(),
    };
    match inject(platform, path, contents) {
        Ok(unsynced) => Response::done_and(unsynced),
        Err(error) => Response::failed(format_args!("{error}")),
    }
}
