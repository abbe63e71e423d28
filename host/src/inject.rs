//! A file into a guest, in one request: the agent's newer form if it has it, the older one otherwise.
//!
//! Guarantees: contents reach no log, and are overwritten. What does not fit is told with how much does.

use std::path::Path;
use std::rc::Rc;

use base64ct::{Base64, Encoding};
use serde_json::json;
use zeroize::Zeroizing;

use crate::answer::Answer;
use crate::conversation::{Conversation, Step};
use crate::fault::Fault;

/// More than any request has room for is not even read.
const READ_MAX: u64 = 1 << 20;
/// What is in the packet beside the argument's own bytes: `/data/host/`, a uuid, the names of the members.
const AROUND: usize = 11 + 36 + 1 + 32;

/// A file, and where it goes.
pub(crate) struct File {
    path: String,
    contents: Zeroizing<Vec<u8>>,
}

impl File {
    /// Reads it.
    pub(crate) fn read(local: &Path, path: &str) -> Result<File, Fault> {
        let wrong = |why: String| Fault::here(format!("cannot inject {}: {why}", local.display()));
        if !path.starts_with('/') {
            return Err(Fault::Usage(format!("'{path}' is no path in the guest; it begins with a slash")));
        }
        let len = local.metadata().map_err(|error| wrong(error.to_string()))?.len();
        if len > READ_MAX {
            return Err(wrong(format!("it has {len} bytes; one request takes about 3000")));
        }
        let contents = std::fs::read(local).map_err(|error| wrong(error.to_string()))?;
        Ok(File::new(path.to_owned(), contents))
    }

    /// One that is in memory.
    pub(crate) fn new(path: String, contents: Vec<u8>) -> File {
        File { path, contents: Zeroizing::new(contents) }
    }
}

/// Asks what the agent can do, then sends.
pub(crate) struct Inject {
    file: Rc<File>,
    /// Bytes of a request's payload behind the guest's home.
    room: usize,
    sent: bool,
}

impl Inject {
    /// This file, into a guest whose requests have so much room behind its home's path.
    pub(crate) fn new(file: Rc<File>, room: usize) -> Inject {
        Inject { file, room, sent: false }
    }

    fn send(&mut self, features: &str) -> Step {
        let has = |name: &str| features.split(',').any(|feature| feature.trim() == name);
        let File { path, contents } = &*self.file;
        let (name, value) = if has("file_inject") {
            let (b64_path, b64_file) = (Base64::encode_string(path.as_bytes()), Base64::encode_string(contents));
            ("file_inject", json!({ "b64_path": b64_path, "b64_file": b64_file }))
        } else if has("injectfile") && path.contains(',') {
            return Step::Done(Err(Fault::Guest("this agent takes no path with a comma in it".into())));
        } else if has("injectfile") {
            let both = Zeroizing::new([path.as_bytes(), b",", contents].concat());
            ("injectfile", Base64::encode_string(&both).into())
        } else {
            return Step::Done(Err(Fault::Guest("this agent injects no files".into())));
        };
        if value.to_string().len() + AROUND > self.room {
            let most = most_bytes(self.room, path.len());
            let len = contents.len();
            let text = format!("the file has {len} bytes; one request to this agent takes {most}");
            return Step::Done(Err(Fault::here(text)));
        }
        self.sent = true;
        Step::Command(name.into(), value)
    }
}

/// How long the contents may be, with such a path.
fn most_bytes(room: usize, path: usize) -> usize {
    const MEMBERS: usize = r#"{"b64_file":"","b64_path":""}"#.len();
    room.saturating_sub(AROUND + MEMBERS + path.div_ceil(3) * 4) / 4 * 3
}

impl Conversation for Inject {
    fn next(&mut self, answer: Option<Answer>) -> Step {
        match answer {
            None => Step::Command("features".into(), "".into()),
            Some(answer) if !self.sent && answer.is_success() => self.send(&answer.message),
            Some(answer) => Step::Done(Ok(answer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(features: &str, path: &str, contents: usize) -> Result<String, Fault> {
        let file = Rc::new(File::new(path.into(), vec![b'x'; contents]));
        let mut inject = Inject::new(file, 4096 - "/local/domain/7".len());
        assert!(matches!(inject.next(None), Step::Command(name, _) if name == "features"));
        match inject.next(Some(Answer::done(features))) {
            Step::Command(name, value) => Ok(format!("{name} {value}")),
            Step::Done(Err(fault)) => Err(fault),
            _ => panic!("something else"),
        }
    }

    #[test]
    fn the_newer_form_is_used_where_there_is_one() {
        let newer = sent("version,file_inject,injectfile", "/a", 2).unwrap();
        assert_eq!(newer, r#"file_inject {"b64_file":"eHg=","b64_path":"L2E="}"#);
        assert_eq!(sent("version,injectfile", "/a", 2).unwrap(), r#"injectfile "L2EseHg=""#);
        assert!(sent("version", "/a", 2).unwrap_err().to_string().contains("injects no files"));
        assert!(sent("injectfile", "/a,b", 2).unwrap_err().to_string().contains("comma"));
    }

    #[test]
    fn what_does_not_fit_is_told_with_the_limit_that_does() {
        let text = sent("file_inject", "/etc/motd", 5000).unwrap_err().to_string();
        let limit: usize = text.rsplit(' ').next().unwrap().parse().unwrap();
        assert!((2800..3000).contains(&limit), "{text}");
        assert!(sent("file_inject", "/etc/motd", limit).is_ok());
        assert!(sent("file_inject", "/etc/motd", limit + 3).is_err());
    }
}
