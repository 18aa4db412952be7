//! HTTP for gateways (protocol.md sections 1, 2 and 4). Except for the way in
//! (enrolment, certificate) every call comes with a client certificate, and
//! the guard has asked the roster whether its gateway is still in force.

pub(crate) mod certificate;
pub(crate) mod enrol;
pub(crate) mod hours;
pub(crate) mod journal;
pub(crate) mod link;
pub(crate) mod locks;
pub(crate) mod notices;
pub(crate) mod read_back;
pub(crate) mod report;
pub(crate) mod roster;
pub(crate) mod stills;
pub(crate) mod upload;
pub(crate) mod witness;
