//! What the cloud decides, apart from how it is asked: who may do what, what
//! goes into the history, and which chunks a viewer gets. Pure: no tokio, no
//! sockets, no files, no clock, no randomness. `cloud` calls it with facts
//! and the time.
//!
//! The order that promise 4 of the design demands is in the types:
//! [`decide`] makes a [`Permit`], [`Permit::record`] makes an
//! [`Audited<Permit>`](Audited), and only that can be signed into a token.

mod decide;
mod history;
mod object_name;
mod permit;
pub mod policy;
pub mod relay;
mod request;

pub use decide::{Denial, Explanation, UPLOAD_BYTES_MAX, allows, decide, explain};
pub use history::{Entry, History, Receipt, References, chain_hash, reference};
pub use object_name::{ObjectName, ObjectNameError};
pub use permit::{Audited, Permit, RecordError};
pub use request::{
    Action, CameraFacts, FactorChange, Facts, GatewayFacts, PersonFacts, Principal, ProvisionChange,
    Provisioned, Request, ServiceFacts, ShareFacts, SignInWay,
};
