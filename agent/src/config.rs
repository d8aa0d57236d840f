//! The configuration of the agent, whole: every section with its default, from a file and the environment.
pub mod source;
