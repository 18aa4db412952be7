//! The operator's mail server.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use lettre::message::Mailbox;
use serde::Deserialize;

const PAUSE_MINUTES_MAX: u64 = 24 * 60;

/// By which people are told by e-mail that something happened. The server knows
/// no more than that, and says less.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSection {
    /// The server that takes mail (SMTP submission).
    pub host: String,
    /// Default 587, with `tls = "implicit"` 465, with `"none"` 25.
    pub port: Option<u16>,
    /// `starttls` (default), `implicit`, or `none`, which is for this machine only.
    #[serde(default)]
    pub tls: MailTls,
    /// Who it is from: `cameras@example.org` or `Cameras <cameras@example.org>`.
    pub from: String,
    /// Default: the server asks for none.
    pub username: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// CA of the server's certificate, PEM, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// After a mail, a person gets none for so long, 1 to 1440. Default 15.
    #[serde(default = "pause_minutes")]
    pub pause_minutes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailTls {
    #[default]
    Starttls,
    Implicit,
    None,
}

fn pause_minutes() -> u64 {
    15
}

impl MailSection {
    pub(super) fn validate(&self) -> anyhow::Result<()> {
        let MailSection { host, tls, from, pause_minutes, .. } = self;
        let is_host =
            !host.is_empty() && host.bytes().all(|c| c.is_ascii_alphanumeric() || b".-:".contains(&c));
        ensure!(is_host, "mail.host = \"{host}\" must be a name or an address, without a port");
        let is_here =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        ensure!(
            *tls != MailTls::None || is_here,
            "mail.tls = \"none\" is for a server on this machine: what is sent to \"{host}\" says who has cameras \
             and when something happens there. Use \"starttls\" or \"implicit\""
        );
        from.parse::<Mailbox>().with_context(|| format!("mail.from = \"{from}\" is no address"))?;
        ensure!(
            self.username.is_some() == self.password_file.is_some(),
            "mail.username and mail.password_file go together: set both or none"
        );
        ensure!(
            (1..=PAUSE_MINUTES_MAX).contains(pause_minutes),
            "mail.pause_minutes = {pause_minutes} must be from 1 to {PAUSE_MINUTES_MAX}"
        );
        Ok(())
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            MailTls::Starttls => 587,
            MailTls::Implicit => 465,
            MailTls::None => 25,
        })
    }
}
