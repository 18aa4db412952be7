//! What the tools of others pack, and what attackers do, read by us.

mod archives;
mod attacks;
mod captures;
mod images;
mod support;
