//! Stories: what happens to runs, told through the real handlers.

mod adoption;
mod approvals;
mod autoscaler;
mod blue_green;
mod by_replicas;
mod canary;
mod doors;
mod evidence;
mod lanes;
mod releases;
mod replicas;
mod rolling;
mod room;
mod shadow;
mod steering;
mod variants;
