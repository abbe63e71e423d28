//! Commands that take long: an errand does what they are about, and they are answered when it has ended. Of all of them
//! one is under way at a time; other commands are served meanwhile.

#[cfg(feature = "drop-in")]
use crate::commands::drop_in;
use crate::commands::response::Response;
#[cfg(feature = "update")]
use crate::commands::update;
use crate::platform::{Errand, Platform};
#[cfg(feature = "update")]
use crate::update::Update;
use crate::wire::text::Bounded;

/// What a command waits for.
pub enum Task {
    /// A program of the site's.
    #[cfg(feature = "drop-in")]
    Site(drop_in::ProgramPath),
    /// A step of an update.
    #[cfg(feature = "update")]
    Update(Update),
}

/// A command that is under way.
pub struct Long {
    /// What the host calls it, as it is logged.
    pub name: Bounded<64>,
    /// Whether its response may be logged.
    pub shows_response: bool,
    /// What it waits for.
    pub task: Task,
}

/// Said when the agent ends first.
const ENDING: &str = "nanova was told to end before this command had: it was stopped";

impl Task {
    /// Whether a new agent is to be executed when it is done.
    pub fn is_update(&self) -> bool {
        match self {
            #[cfg(feature = "drop-in")]
            Task::Site(_) => false,
            #[cfg(feature = "update")]
            Task::Update(_) => true,
        }
    }

    fn errand(&self) -> Errand {
        match self {
            #[cfg(feature = "drop-in")]
            Task::Site(_) => Errand::Program,
            #[cfg(feature = "update")]
            Task::Update(update) => update.errand(),
        }
    }

    /// Goes on if the errand has ended: with the next one, or the response.
    pub fn go_on<P: Platform>(self, platform: &mut P) -> Result<Task, Response> {
        let Some(ended) = platform.ended(self.errand()) else { return Ok(self) };
        match self {
            #[cfg(feature = "drop-in")]
            Task::Site(path) => Err(drop_in::end(&path, ended, platform.printed())),
            #[cfg(feature = "update")]
            Task::Update(update) => update::go_on(update, platform, ended).map(Task::Update),
        }
    }

    /// Ends it, as the agent ends; returns the response.
    pub fn give_up<P: Platform>(self, platform: &mut P) -> Response {
        match self {
            #[cfg(feature = "drop-in")]
            Task::Site(_) => platform.give_up(Errand::Program),
            #[cfg(feature = "update")]
            Task::Update(update) => update.give_up(platform),
        }
        Response::failed(format_args!("{ENDING}"))
    }
}
