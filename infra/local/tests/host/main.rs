//! The binary as people run it: a process on a folder of its own, a repository, HTTP, the socket, signals.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod commands;
mod doors;
mod restarts;
mod world;
