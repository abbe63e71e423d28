//! The agent.
fn main(){}
