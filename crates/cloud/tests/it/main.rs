//! The cloud over real HTTP, with real devices and gateways: each test starts
//! a server of its own. Whatever touches SQL runs on SQLite and on PostgreSQL.

mod approvals;
mod azurite;
mod batches;
mod commands;
mod devices;
mod erasure;
mod events;
mod factors;
mod fan_out;
mod figures;
mod footage;
mod history;
mod hours;
mod live;
mod local;
mod login;
mod matrix;
mod messages;
mod on_site;
mod outside;
mod past;
mod people;
mod possession;
mod providers;
mod rules;
mod scim;
mod seek;
mod services;
mod sheet;
mod sites;
mod support;
mod syslog;
mod walls;
mod web;
mod witness;
