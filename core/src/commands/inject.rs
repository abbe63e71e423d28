//! `injectfile` and `file_inject`: write a file that the host sends.

use zeroize::Zeroizing;

use crate::commands::response::Response;
use crate::files::inject::inject;
use crate::platform::{Clock, Files, GuestPath, Log};
use crate::wire::json::walk::member;
use crate::wire::json::{Text, Value};
use crate::wire::xenstore::PAYLOAD_MAX;

/// Room for everything that one request can carry.
pub(crate) type DecodingRoom = Zeroizing<[u8; PAYLOAD_MAX]>;

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
        Ok((path, contents)) => match guest_path(path) {
            Ok(path) => write(path, contents, platform),
            Err(response) => response,
        },
        Err(error) => error.response(),
    }
}

/// `file_inject`: path and contents as base64 each.
pub fn file_inject<P: Files + Clock + Log>(value: Value<'_>, platform: &mut P) -> Response {
    let mut room = DecodingRoom::new([0; PAYLOAD_MAX]);
    match path_and_bytes(value, &mut room) {
        Ok((path, contents)) => write(path, contents, platform),
        Err(response) => response,
    }
}

/// What `b64_path` and `b64_file` say. Decoded they are shorter than the packet in which both of them were.
pub(crate) fn path_and_bytes<'r>(
    value: Value<'_>,
    room: &'r mut DecodingRoom,
) -> Result<(GuestPath<'r>, &'r [u8]), Response> {
    let (Value::Text(path), Value::Text(contents)) = (field(value, "b64_path"), field(value, "b64_file")) else {
        return Err(ArgumentError::Invalid("an object with b64_path and b64_file is needed").response());
    };
    let decoded = decode(path, &mut room[..]).map(<[u8]>::len).and_then(|len| {
        let len = len.min(room.len());
        let (path, room) = room.split_at_mut(len);
        Ok((&*path, decode(contents, room)?))
    });
    let (path, contents) = decoded.map_err(|error| error.response())?;
    Ok((guest_path(path)?, contents))
}

/// A member of an object.
pub(crate) fn field<'a>(value: Value<'a>, name: &str) -> Value<'a> {
    match value {
        Value::Object(object) => member(object, &[name]).map_or(Value::Missing, Value::of),
        _ => Value::Missing,
    }
}

/// Decodes base64, white space in it passed over: old hosts break lines.
fn decode<'a>(text: Text<'_>, room: &'a mut [u8]) -> Result<&'a [u8], ArgumentError> {
    text.base64(room).ok_or(ArgumentError::NotBase64)
}

fn guest_path(path: &[u8]) -> Result<GuestPath<'_>, Response> {
    match core::str::from_utf8(path).map(GuestPath::new) {
        Ok(Ok(path)) => Ok(path),
        Ok(Err(why)) => Err(Response::failed(format_args!("Invalid arguments: {why}"))),
        Err(_) => Err(ArgumentError::Invalid("the path is not UTF-8").response()),
    }
}

#[inline(never)]
fn write<P: Files + Clock + Log>(path: GuestPath<'_>, contents: &[u8], platform: &mut P) -> Response {
    match inject(platform, path, contents) {
        Ok(unsynced) => Response::done_and(unsynced),
        Err(error) => Response::failed(format_args!("{error}")),
    }
}
