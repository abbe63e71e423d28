//! A file into a guest: in one request, the agent's newer form if it has it, the older one otherwise; or in parts, one
//! behind the other, with the sum of the whole, to agents that take parts.
//!
//! Guarantees: contents reach no log, and are overwritten. What does not fit is told with how much does. In parts it is
//! in its place after the last one, or the old one is (`core/src/files/parts.rs`).

use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use base64ct::{Base64, Encoding};
use nanova_core::wire::sha256::sha256;
use zeroize::Zeroizing;

use crate::answer::Answer;
use crate::conversation::{Conversation, Step, judged};
use crate::fault::Fault;
use crate::op::printable;
use crate::progress::Progress;
use crate::request::Request;
use crate::sealing::{Speech, Terms};

/// What agents take in parts.
const SIZE_MAX: u64 = 16 << 20;
/// What an agent answers to a part of a file that it knows nothing of.
const FIRST_PART_AGAIN: &str = "send its first part again";
/// How often a file is begun again.
const AGAIN_MAX: u32 = 3;

/// No more than what shows that it is too long, into room for all: nothing grows and leaves a copy behind.
fn read(local: &Path) -> io::Result<Vec<u8>> {
    let file = fs::File::open(local)?;
    let len = file.metadata()?.len().min(SIZE_MAX);
    let mut contents = Vec::with_capacity(usize::try_from(len).unwrap_or_default() + 64);
    file.take(SIZE_MAX + 1).read_to_end(&mut contents)?;
    Ok(contents)
}

/// A file, and where it goes.
pub(crate) struct File {
    path: String,
    contents: Zeroizing<Vec<u8>>,
    /// SHA-256, as base64.
    sum: String,
}

impl File {
    /// Reads it.
    pub(crate) fn read(local: &Path, path: &str) -> Result<File, Fault> {
        let wrong = |why: String| Fault::here(format!("cannot inject {}: {why}", local.display()));
        if !path.starts_with('/') {
            return Err(Fault::Usage(format!("'{path}' is no path in the guest; it begins with a slash")));
        }
        let contents = read(local).map_err(|error| wrong(error.to_string()))?;
        if contents.len() as u64 > SIZE_MAX {
            return Err(wrong(format!("it has more than the {SIZE_MAX} bytes that agents take")));
        }
        Ok(File::new(path.to_owned(), contents))
    }

    /// One that is in memory.
    pub(crate) fn new(path: String, contents: Vec<u8>) -> File {
        let sum = Base64::encode_string(&sha256(&[&contents]));
        File { path, contents: Zeroizing::new(contents), sum }
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.contents.len()
    }

    /// The one request that an agent of these terms takes it in; none if it takes it in parts.
    fn whole(&self, terms: &Terms) -> Result<Option<Request>, Fault> {
        let File { path, contents, .. } = self;
        let request = if terms.has("file_inject") && contents.len() <= terms.room {
            self.object(contents, "")
        } else if terms.has("file_inject") {
            return self.in_parts(terms);
        } else if terms.has("injectfile") && path.contains(',') {
            return Err(Fault::Guest("this agent takes no path with a comma in it".into()));
        } else if terms.has("injectfile") {
            let both = Zeroizing::new([path.as_bytes(), b",", contents].concat());
            Request::text("injectfile", &base64(&both))
        } else {
            return Err(Fault::Guest("this agent injects no files".into()));
        };
        if request.bytes().len() <= terms.room { Ok(Some(request)) } else { self.in_parts(terms) }
    }

    /// Whether it may come in parts.
    fn in_parts(&self, terms: &Terms) -> Result<Option<Request>, Fault> {
        if terms.has("file_inject") && terms.has("file_inject_parts") {
            return Ok(None);
        }
        let (len, most) = (self.len(), fitting(terms.room, &self.object(&[], "")));
        let text = format!("the file has {len} bytes; one request to this agent takes {most}, and it takes no parts");
        Err(Fault::here(text))
    }

    /// How many bytes of it fit a part.
    fn part_max(&self, terms: &Terms) -> Result<usize, Fault> {
        let len = self.len();
        match fitting(terms.room, &self.part(len..len)) {
            0 => Err(Fault::here("the path has so many bytes that nothing else fits a request")),
            max => Ok(max),
        }
    }

    /// A part of it.
    fn part(&self, bytes: Range<usize>) -> Request {
        let members = format!(r#","offset":{},"size":{},"b64_sha256":"{}""#, bytes.start, self.len(), self.sum);
        self.object(self.contents.get(bytes).unwrap_or_default(), &members)
    }

    /// As an object, with more members.
    fn object(&self, contents: &[u8], more: &str) -> Request {
        let (path, contents) = (base64(self.path.as_bytes()), base64(contents));
        let members = [r#"{"b64_path":""#, &path, r#"","b64_file":""#, &contents, "\"", more, "}"];
        Request::json("file_inject", &Zeroizing::new(members.concat()))
    }
}

/// How many bytes fit as base64 beside what this request has.
fn fitting(room: usize, request: &Request) -> usize {
    room.saturating_sub(request.bytes().len()) / 4 * 3
}

/// Sends it, in one request or in parts.
pub(crate) struct Inject {
    file: Rc<File>,
    progress: Rc<Progress>,
    /// The one request; none for parts.
    whole: Option<Request>,
    /// The bytes of each part.
    part: usize,
    /// How many bytes the agent has, and how many it has with what was sent last.
    have: usize,
    sent: usize,
    /// How often it began again.
    again: u32,
}

impl Inject {
    /// This file, into any guest.
    pub(crate) fn speech(file: Rc<File>, progress: Rc<Progress>) -> Speech {
        Speech::Sealed(Box::new(move |terms| Ok(Box::new(Inject::new(file, progress, terms)?))))
    }

    fn new(file: Rc<File>, progress: Rc<Progress>, terms: &Terms) -> Result<Inject, Fault> {
        let (whole, part) = match file.whole(terms)? {
            Some(request) => (Some(request), 0),
            None => (None, file.part_max(terms)?),
        };
        Ok(Inject { file, progress, whole, part, have: 0, sent: 0, again: 0 })
    }

    /// The next part.
    fn send(&mut self) -> Step {
        self.sent = self.file.contents.len().min(self.have + self.part);
        Step::Request(self.file.part(self.have..self.sent))
    }

    /// The agent has answered a part: it goes on, begins again, or this was all.
    fn sent(&mut self, answer: Answer) -> Step {
        if !answer.is_success() {
            return self.refused(answer);
        }
        self.progress.add(self.sent - self.have);
        self.have = self.sent;
        if self.have == self.file.contents.len() {
            return Step::Done(Ok(answer));
        }
        if answer.message != self.have.to_string() {
            let (has, sent) = (printable(answer.message.as_bytes()), self.have);
            return Step::Done(Err(Fault::Guest(format!("the agent has '{has}' bytes of the file, and got {sent}"))));
        }
        self.send()
    }

    /// An agent that was started anew knows nothing of the parts before.
    fn refused(&mut self, answer: Answer) -> Step {
        self.again += 1;
        if self.have == 0 || self.again > AGAIN_MAX || !answer.message.contains(FIRST_PART_AGAIN) {
            return Step::Done(Ok(answer));
        }
        self.progress.take(self.have);
        self.have = 0;
        self.send()
    }
}

fn base64(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(Base64::encode_string(bytes))
}

impl Conversation for Inject {
    fn next(&mut self, answer: Option<Answer>) -> Step {
        match (answer, self.whole.take()) {
            (None, Some(request)) => Step::Request(request),
            (None, None) => self.send(),
            (Some(answer), _) if self.part > 0 => self.sent(answer),
            (answer, _) => Step::Done(judged(answer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(features: &str, path: &str, contents: usize) -> Result<String, Fault> {
        let request = File::new(path.into(), vec![b'x'; contents]).whole(&Terms::new(features, 4000))?;
        Ok(String::from_utf8_lossy(request.expect("it fits").bytes()).into_owned())
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
        let limit: usize = text.split(" takes ").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
        assert!((2800..3000).contains(&limit), "{text}");
        assert!(sent("file_inject", "/etc/motd", limit).is_ok());
        assert!(sent("file_inject", "/etc/motd", limit + 3).is_err());
    }

    const TERMS: &str = "features,file_inject,file_inject_parts,sealed";

    /// The agent's side: takes parts until it has all, or until it answers something else.
    fn in_parts(contents: usize, mut answer: impl FnMut(usize) -> Answer) -> (Step, usize) {
        let file = Rc::new(File::new("/srv/file".into(), vec![b'x'; contents]));
        let terms = Terms::new(TERMS, 4000);
        let mut inject = Inject::new(file, Rc::default(), &terms).unwrap();
        let (mut step, mut parts) = (inject.next(None), 0);
        while let Step::Request(request) = &step {
            assert!(request.bytes().len() <= terms.room);
            let value: serde_json::Value = serde_json::from_slice(request.bytes()).unwrap();
            assert_eq!(value["value"]["size"], contents);
            let part = Base64::decode_vec(value["value"]["b64_file"].as_str().unwrap()).unwrap();
            parts += 1;
            step = inject.next(Some(answer(value["value"]["offset"].as_u64().unwrap() as usize + part.len())));
        }
        (step, parts)
    }

    #[test]
    fn a_long_file_goes_in_parts_that_are_as_long_as_fits() {
        let (step, parts) = in_parts(100_000, |have| Answer::done(have.to_string()));
        assert!(matches!(step, Step::Done(Ok(answer)) if answer.is_success()));
        assert!((45..=50).contains(&parts), "{parts}");
        let (step, parts) = in_parts(100_000, |_| Answer::done("5"));
        assert!(matches!(step, Step::Done(Err(Fault::Guest(_)))) && parts == 1);
    }

    #[test]
    fn an_agent_that_lost_the_parts_gets_them_again_but_not_for_ever() {
        let lost = |text: &str| Answer { code: "500".into(), message: text.into(), text: String::new() };
        let mut times = 0;
        let (step, _) = in_parts(10_000, |have| match have {
            4000.. if times < 2 => {
                times += 1;
                lost("no such file is under way; send its first part again")
            }
            have => Answer::done(have.to_string()),
        });
        assert!(matches!(step, Step::Done(Ok(answer)) if answer.is_success()) && times == 2);
        let (step, parts) = in_parts(10_000, |have| match have {
            4000.. => lost("no such file is under way; send its first part again"),
            have => Answer::done(have.to_string()),
        });
        assert!(matches!(step, Step::Done(Ok(answer)) if !answer.is_success()) && parts == 8);
    }
}
