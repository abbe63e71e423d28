//! `nanova network`: being written.

use nanova_core::cli::{Common, NetworkOptions, exit};

use crate::rt::Environment;

pub(crate) fn run(_environment: &Environment, _common: &Common<'_>, _options: &NetworkOptions<'_>) -> i32 {
    exit::FAILED
}
