//! The product as a person runs it: the real programs, ended in every way.

mod app;
mod audit;
mod azure;
mod bookmarks;
mod container;
mod dating;
mod devices;
mod hours;
mod leaks;
mod local;
mod on_site;
mod packages;
mod policy;
mod proof;
mod roster;
mod services;
mod several;
mod support;
mod sweep;
mod walk;
