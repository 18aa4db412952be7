//! E-mail to people (SMTP submission, RFC 6409), by the operator's server and no
//! other. What is to be sent stands in SQL: one mail to come for each address
//! that was confirmed, however much happens until it is due.

mod letter;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use model::{Hash, OrgId, PersonId, Secret, Timestamp};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior};
use url::Url;

use crate::app::App;
use crate::config::{MailSection, MailTls};
use crate::database::{MailRow, MailTokens};
use crate::permits::devices_in_force;
use crate::vault::{Secret as Sealed, Vault};
use crate::{clock, random};
pub(crate) use letter::LANGUAGES;
use letter::Letter;

/// How long the link of a confirmation is good.
pub(crate) const CONFIRM_MS: u64 = Timestamp::DAY;
/// Longest address (RFC 5321 section 4.5.3.1.3, without its brackets).
const ADDRESS_BYTES_MAX: usize = 254;
/// One event is told to several devices, and seldom comes alone.
const GATHER_MS: u64 = 3_000;
/// How often it is looked what is due.
const LOOK: Duration = Duration::from_secs(1);
/// Mails of one look.
const AT_ONCE: u64 = 32;
/// For one mail, from the connection on.
const SEND_MAX: Duration = Duration::from_secs(20);
/// Who began to send one and was ended meanwhile sends it again after this.
const CLAIM_MS: u64 = 2 * Timestamp::MINUTE;
const RETRY_FIRST_MS: u64 = 2_000;
const RETRY_MS_MAX: u64 = 30 * Timestamp::MINUTE;
/// A day, and some: what is older is no news.
const TRIES_MAX: u64 = 60;
/// Replies about ourselves, not about an address (RFC 4954).
const OF_SIGNING_IN: [u16; 5] = [454, 530, 534, 535, 538];

pub(crate) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    pub(crate) pause_ms: u64,
    /// Something is due sooner than it was looked for.
    pub(crate) wake: Notify,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("from", &self.from).finish_non_exhaustive()
    }
}

/// What became of a mail.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Sent,
    /// Nothing will arrive there.
    Refused(u16),
    /// Not now.
    Later(u16),
    /// The server is not there, or lets us send nothing.
    Away,
}

impl Mail {
    pub(crate) fn open(section: &MailSection, public_url: &Url) -> anyhow::Result<Self> {
        let tls = match section.tls {
            MailTls::None => Tls::None,
            MailTls::Starttls => Tls::Required(tls(section)?),
            MailTls::Implicit => Tls::Wrapper(tls(section)?),
        };
        let name = public_url.host_str().unwrap_or("localhost").to_owned();
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&section.host)
            .port(section.port())
            .tls(tls)
            .timeout(Some(SEND_MAX))
            .hello_name(ClientId::Domain(name));
        if let Some((username, path)) = section.username.as_ref().zip(section.password_file.as_ref()) {
            let password = std::fs::read_to_string(path)
                .with_context(|| format!("mail.password_file {} could not be read", path.display()))?;
            let password = Secret::new(password.trim_end_matches(['\r', '\n']));
            transport =
                transport.credentials(Credentials::new(username.clone(), password.expose().to_owned()));
        }
        Ok(Mail {
            transport: transport.build(),
            from: section.from.parse().context("mail.from is no address")?,
            pause_ms: section.pause_minutes * Timestamp::MINUTE,
            wake: Notify::new(),
        })
    }

    /// Signs in and says good-bye.
    pub(crate) async fn check(&self) -> anyhow::Result<()> {
        let answers = tokio::time::timeout(SEND_MAX, self.transport.test_connection()).await;
        let good = answers.context("the mail server does not answer")?;
        let good = good.context("the mail server lets this one send nothing: look at mail.host, mail.tls, mail.username and mail.password_file")?;
        anyhow::ensure!(good, "the mail server does not answer as one");
        Ok(())
    }

    async fn send(&self, letter: Letter<'_>, to: Address, language: &str, origin: &Url) -> Outcome {
        let Ok(message) = letter::write(letter, language, (&self.from, to), origin) else {
            return Outcome::Refused(0);
        };
        match tokio::time::timeout(SEND_MAX, self.transport.send(message)).await {
            Ok(Ok(_)) => Outcome::Sent,
            Ok(Err(error)) => {
                // Its words may name the address.
                let code = error.status().map(u16::from);
                match code {
                    Some(code) if OF_SIGNING_IN.contains(&code) => {
                        tracing::warn!(code, "the mail server does not let this one sign in");
                        Outcome::Away
                    }
                    Some(421) => Outcome::Away,
                    Some(code) if error.is_permanent() => Outcome::Refused(code),
                    Some(code) => Outcome::Later(code),
                    None => {
                        let tls = error.is_tls();
                        tracing::warn!(
                            tls,
                            "the mail server cannot be reached; `lenskeep-cloud check` says more"
                        );
                        Outcome::Away
                    }
                }
            }
            Err(_) => {
                tracing::warn!("the mail server takes too long");
                Outcome::Away
            }
        }
    }
}

fn tls(section: &MailSection) -> anyhow::Result<TlsParameters> {
    let mut parameters = TlsParameters::builder(section.host.clone());
    if let Some(path) = &section.ca_file {
        let place = || format!("mail.ca_file {} could not be read", path.display());
        let pem = std::fs::read(path).with_context(place)?;
        let certificate = Certificate::from_pem(&pem).with_context(place)?;
        parameters = parameters.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    parameters.build().context("TLS to the mail server could not be set up")
}

/// An address as people have one: nothing in it ends a line, a header or a
/// command, and none of its forms that mail servers read differently.
pub(crate) fn address(text: &str) -> Option<Address> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@')?;
    let is_word = |c: u8| c.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&c);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_plain = text.len() <= ADDRESS_BYTES_MAX
        && (1..=64).contains(&local.len())
        && local.bytes().all(is_word)
        && domain.contains('.')
        && domain.split('.').all(is_label);
    is_plain.then(|| text.parse().ok()).flatten()
}

/// The tokens of an address's links, which nobody makes without the vault's key.
pub(crate) struct Links {
    pub(crate) confirm: String,
    pub(crate) stop: String,
}

impl Links {
    pub(crate) fn of(vault: &Vault, round: Hash) -> Self {
        let token = |what: &[u8]| vault.mark(&[what, &round.0]).to_string();
        Links { confirm: token(b"mail confirm"), stop: token(b"mail stop") }
    }

    pub(crate) fn stored(&self) -> MailTokens {
        MailTokens { confirm: random::hashed(&self.confirm), stop: random::hashed(&self.stop) }
    }
}

/// Something passed that a person is told.
pub(crate) async fn told(app: &App, whom: (OrgId, PersonId), count: u64, now: Timestamp) {
    count_up(app, whom, (count, 0), now).await;
}

/// A gateway fell silent or came back, which a person is told.
pub(crate) async fn told_of_silence(app: &App, whom: (OrgId, PersonId), now: Timestamp) {
    count_up(app, whom, (0, 1), now).await;
}

async fn count_up(app: &App, whom: (OrgId, PersonId), counts: (u64, u64), now: Timestamp) {
    let Some(mail) = &app.mail else { return };
    if let Err(error) = app.database.count_mail(whom, counts, now, (GATHER_MS, mail.pause_ms)).await {
        tracing::warn!(person = %whom.1, "a mail was not put down: {error}");
    }
}

/// Sends what is due until the server stops.
pub(crate) async fn run(app: Arc<App>) {
    let Some(mail) = &app.mail else { return };
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut not_before, mut delay_ms) = (Instant::now(), RETRY_FIRST_MS);
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            _ = look.tick() => {}
            () = mail.wake.notified() => {}
        }
        if Instant::now() < not_before {
            continue;
        }
        let Some(round) = app.shutdown.run_until_cancelled(Box::pin(send_due(&app, mail))).await else {
            return;
        };
        match round {
            Ok(true) => delay_ms = RETRY_FIRST_MS,
            Ok(false) => {
                not_before = Instant::now() + Duration::from_millis(delay_ms);
                delay_ms = (delay_ms * 2).min(RETRY_MS_MAX);
            }
            Err(error) => tracing::warn!("mails could not be read: {error:#}"),
        }
    }
}

/// False if the server is away: nobody else is tried then.
async fn send_due(app: &App, mail: &Mail) -> anyhow::Result<bool> {
    for row in app.database.mail_due(clock::now(), AT_ONCE).await? {
        let now = clock::now();
        let whom = (row.org, row.person);
        if row.is_confirmed && !may_be_told(app, whom, now).await? {
            app.database.mail_dropped(&row, None).await?;
            continue;
        }
        let opened = app.vault.unseal(Sealed::Mail(row.person), &row.address).ok();
        let text = opened.and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(to) = text.as_deref().and_then(address) else {
            tracing::warn!(person = %row.person, "an address cannot be opened; was vault.key restored?");
            app.database.mail_dropped(&row, Some("unreadable")).await?;
            continue;
        };
        if !app.database.claim_mail(&row, now.plus_ms(CLAIM_MS)).await? {
            continue;
        }
        let links = Links::of(&app.vault, row.round);
        let letter = match row.is_confirmed {
            true => Letter::Told { count: row.pending, is_silence: row.silences > 0, stop: &links.stop },
            false => Letter::Confirm { token: &links.confirm },
        };
        let outcome = mail.send(letter, to, &row.language, &app.public_url).await;
        let is_away = outcome == Outcome::Away;
        settle(app, mail, &row, outcome).await?;
        if is_away {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn settle(app: &App, mail: &Mail, row: &MailRow, outcome: Outcome) -> sqlx::Result<()> {
    let (now, person) = (clock::now(), row.person);
    match outcome {
        Outcome::Sent => {
            app.metrics.mails.add(1);
            app.database.mail_sent(row, now, mail.pause_ms).await
        }
        Outcome::Refused(code) => {
            tracing::info!(%person, code, "a mail was refused for good");
            app.metrics.mails_lost.add(1);
            app.database.mail_dropped(row, Some("refused")).await
        }
        Outcome::Later(_) | Outcome::Away if row.tries >= TRIES_MAX => {
            tracing::warn!(%person, "a mail could not be sent within a day");
            app.metrics.mails_lost.add(1);
            app.database.mail_dropped(row, Some("away")).await
        }
        Outcome::Later(_) | Outcome::Away => {
            let wait_ms = (RETRY_FIRST_MS << row.tries.min(16)).min(RETRY_MS_MAX);
            app.database.mail_later(row, now.plus_ms(wait_ms)).await
        }
    }
}

/// As for notices: who was shut out hears of nothing any more.
async fn may_be_told(app: &App, (org, person): (OrgId, PersonId), now: Timestamp) -> anyhow::Result<bool> {
    let roster = app.roster(org, now).await?;
    Ok(!devices_in_force(&roster, person, now).is_empty() && !app.database.is_shut_out(org, person).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_ends_no_line_and_is_read_one_way() {
        for good in ["ben@example.org", " ben.smith+cams@mail.example.co.uk ", "a_b@x-y.example"] {
            assert!(address(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "ben",
            "ben@",
            "@example.org",
            "ben@localhost",
            "ben@example.org\r\nBcc: eve@example.org",
            "ben@example.org\nDATA",
            "ben@example.org, eve@example.org",
            "ben@example.org>\r\nRCPT TO:<eve@example.org",
            "Ben <ben@example.org>",
            "\"ben\r\n\"@example.org",
            "\"a b\"@example.org",
            "ben@[127.0.0.1]",
            "ben@exämple.org",
            "bén@example.org",
            "ben@-example.org",
            "ben@example..org",
            "ben@example.org\0",
            "eve@evil.example@example.org",
        ] {
            assert!(address(bad).is_none(), "{bad:?}");
        }
        assert!(address(&format!("{}@example.org", "a".repeat(65))).is_none());
        assert!(address(&format!("ben@{}.org", "a.".repeat(130))).is_none());
    }

    #[test]
    fn links_are_of_their_address_and_of_one_use() {
        let vault = Vault::new([1; 32]);
        let links = Links::of(&vault, Hash([1; 32]));
        assert_ne!(links.confirm, links.stop);
        assert_ne!(links.stop, Links::of(&vault, Hash([2; 32])).stop);
        assert_ne!(links.stop, Links::of(&Vault::new([2; 32]), Hash([1; 32])).stop);
    }
}
