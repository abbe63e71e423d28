//! A file into a guest, in one request: the agent's newer form if it has it, the older one otherwise.
//!
//! Guarantees: contents reach no log, and are overwritten. What does not fit is told with how much does.

use std::path::Path;
use std::rc::Rc;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::answer::Answer;
use crate::conversation::{Conversation, Step, judged};
use crate::fault::Fault;
use crate::request::Request;
use crate::sealing::{Speech, Terms};

/// More than any request has room for is not even read.
const READ_MAX: u64 = 1 << 20;

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

    /// As an object.
    fn object(&self) -> Request {
        let (path, contents) = (base64(self.path.as_bytes()), base64(&self.contents));
        let members = [r#"{"b64_path":""#, &path, r#"","b64_file":""#, &contents, r#""}"#];
        Request::json("file_inject", &Zeroizing::new(members.concat()))
    }

    /// How long the contents may be, in a request of so many bytes.
    fn most_bytes(&self, room: usize) -> usize {
        let empty = File { path: self.path.clone(), contents: Zeroizing::default() };
        room.saturating_sub(empty.object().bytes().len()) / 4 * 3
    }
}

/// Sends it.
pub(crate) struct Inject(Option<Request>);

impl Inject {
    /// This file, into any guest.
    pub(crate) fn speech(file: Rc<File>) -> Speech {
        Speech::Sealed(Box::new(move |terms| Ok(Box::new(Inject(Some(request(&file, terms)?))))))
    }
}

/// What an agent of these terms takes.
fn request(file: &File, terms: &Terms) -> Result<Request, Fault> {
    let File { path, contents } = file;
    let request = if terms.has("file_inject") {
        file.object()
    } else if terms.has("injectfile") && path.contains(',') {
        return Err(Fault::Guest("this agent takes no path with a comma in it".into()));
    } else if terms.has("injectfile") {
        let both = Zeroizing::new([path.as_bytes(), b",", contents].concat());
        Request::text("injectfile", &base64(&both))
    } else {
        return Err(Fault::Guest("this agent injects no files".into()));
    };
    if request.bytes().len() <= terms.room {
        return Ok(request);
    }
    let (len, most) = (contents.len(), file.most_bytes(terms.room));
    Err(Fault::here(format!("the file has {len} bytes; one request to this agent takes {most}")))
}

fn base64(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(Base64::encode_string(bytes))
}

impl Conversation for Inject {
    fn next(&mut self, answer: Option<Answer>) -> Step {
        match (answer, self.0.take()) {
            (None, Some(request)) => Step::Request(request),
            (answer, _) => Step::Done(judged(answer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(features: &str, path: &str, contents: usize) -> Result<String, Fault> {
        let request = request(&File::new(path.into(), vec![b'x'; contents]), &Terms::new(features, 4000))?;
        Ok(String::from_utf8_lossy(request.bytes()).into_owned())
    }

    #[test]
    fn the_newer_form_is_used_where_there_is_one() {
        let newer = sent("version,file_inject,injectfile", "/a", 2).unwrap();
        assert_eq!(newer, r#"{"name":"file_inject","value":{"b64_path":"L2E=","b64_file":"eHg="}}"#);
        assert_eq!(sent("version,injectfile", "/a", 2).unwrap(), r#"{"name":"injectfile","value":"L2EseHg="}"#);
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
