//! The binary as people run it: a process on a folder of its own, a repository, HTTP, the socket, signals.

mod commands;
mod doors;
mod restarts;
mod world;
