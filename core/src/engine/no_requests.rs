//! A build without the feature `commands`: no request is looked for, none is served.

use crate::engine::progress::{EventMeaning, Progress, State};
use crate::network::Target;
use crate::xenstore::{Client, Error, Event, Transport};

/// None.
pub struct Requests;

impl Requests {
    /// None.
    pub const fn new(_network: Target) -> Requests {
        Requests
    }

    /// Does nothing.
    pub fn start<T: Transport, P>(&mut self, _client: &mut Client<T>, _platform: &mut P) -> Result<(), Error> {
        Ok(())
    }

    /// It is not about requests.
    pub fn take_event(&mut self, _event: Event<'_>) -> EventMeaning {
        EventMeaning::NoneOfOurs
    }

    /// Does nothing.
    pub fn look_again(&mut self) {}

    /// There is nothing to serve.
    pub fn serve_one<T: Transport, P>(
        &mut self,
        _client: &mut Client<T>,
        _platform: &mut P,
        _now: u64,
    ) -> Result<Progress, Error> {
        Ok(Progress::Idle)
    }

    /// There are no responses.
    pub fn tidy<T: Transport>(&mut self, _client: &mut Client<T>, _now: u64) -> Result<Progress, Error> {
        Ok(Progress::Idle)
    }

    /// There is no key.
    pub fn forget_unused(&mut self, _now: u64) -> Option<u64> {
        None
    }

    /// Nothing was begun.
    pub fn give_up_at(&self) -> Option<u64> {
        None
    }

    /// Does nothing.
    pub fn give_up_silent<P>(&mut self, _platform: &mut P, _now: u64) {}

    /// No.
    pub fn is_under_way(&self) -> bool {
        false
    }

    /// There is nothing to finish.
    pub fn finish<T: Transport, P>(
        &mut self,
        _client: &mut Client<T>,
        _platform: &mut P,
        _ending: bool,
        _now: u64,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// No.
    pub fn update_is_ready(&self) -> bool {
        false
    }

    /// Does nothing.
    pub fn forget_update(&mut self) {}

    /// Ready.
    pub fn state(&self) -> &State {
        &State::Ready
    }

    /// Does nothing.
    pub fn tell<T: Transport>(_client: &mut Client<T>, _state: &State) -> Result<(), Error> {
        Ok(())
    }
}
