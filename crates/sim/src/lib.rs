//! A site of cameras, its gateway and its cloud, simulated: the decisions of
//! `gateway-core` and the formats of `seal` as they are, with a clock, a disk, a
//! network and cameras that do what a seed says. A model beside it counts every
//! access unit. A seed replays exactly.

mod camera;
mod cloud;
mod disk;
mod faults;
mod hours;
mod index;
mod judge;
mod organisation;
mod process;
mod site;
mod world;

pub use judge::Tally;
pub use site::{Run, Trick, run, run_with};
