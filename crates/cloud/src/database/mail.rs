//! Where people are told by e-mail, and what is to be sent there. A person has
//! one address and one mail to come, however much happens: that is the queue.

use cloud_core::{Audited, Permit};
use model::{Hash, OrgId, PersonId, Timestamp};

use super::{Database, Row, params};

#[derive(Clone, Debug)]
pub(crate) struct MailRow {
    pub(crate) org: OrgId,
    pub(crate) person: PersonId,
    /// Sealed.
    pub(crate) address: String,
    pub(crate) language: String,
    pub(crate) is_confirmed: bool,
    pub(crate) round: Hash,
    pub(crate) pending: u64,
    /// Of gateways that fell silent or came back.
    pub(crate) silences: u64,
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) tries: u64,
    pub(crate) concern: Option<String>,
}

/// SHA-256 of the tokens of an address's links.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MailTokens {
    pub(crate) confirm: Hash,
    pub(crate) stop: Hash,
}

macro_rules! columns {
    () => {
        "SELECT org, person, address, language, confirmed_at, round, pending, due_at, tries, concern, silences \
         FROM mail_addresses "
    };
}

fn read(row: &Row) -> sqlx::Result<MailRow> {
    Ok(MailRow {
        org: row.parsed(0)?,
        person: row.parsed(1)?,
        address: row.text(2)?,
        language: row.text(3)?,
        is_confirmed: row.number_or_null(4)?.is_some(),
        round: row.parsed(5)?,
        pending: row.number(6)?,
        due_at: row.number_or_null(7)?.map(Timestamp),
        tries: row.number(8)?,
        concern: row.text_or_null(9)?,
        silences: row.number(10)?,
    })
}

impl Database {
    pub(crate) async fn mail_of(&self, org: OrgId, person: PersonId) -> sqlx::Result<Option<MailRow>> {
        let sql = concat!(columns!(), "WHERE org = $1 AND person = $2");
        self.optional(sql, params![org, person]).await?.as_ref().map(read).transpose()
    }

    /// In place of an earlier one, confirmed or not. What asks for confirmation is
    /// due now.
    pub(crate) async fn set_mail(
        &self,
        row: &MailRow,
        tokens: MailTokens,
        now: Timestamp,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<()> {
        let MailRow { org, person, address, language, round, .. } = row;
        let mut transaction = self.begin().await?;
        let sql = "DELETE FROM mail_addresses WHERE org = $1 AND person = $2";
        transaction.execute(sql, params![*org, *person]).await?;
        let sql = "INSERT INTO mail_addresses (org, person, address, language, made_at, round, confirm, stop, \
                   pending, due_at, tries) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $5, 0)";
        let (address, language) = (address.as_str(), language.as_str());
        let values = params![*org, *person, address, language, now, *round, tokens.confirm, tokens.stop];
        transaction.execute(sql, values).await?;
        transaction.commit().await
    }

    /// Once for a token: the first thing that happens is told at once. False if there is none that was sent after `since`.
    pub(crate) async fn confirm_mail(
        &self,
        token: Hash,
        since: Timestamp,
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let sql = "UPDATE mail_addresses SET confirmed_at = $1, confirm = NULL, due_at = NULL, last_at = NULL, tries = 0, \
                   concern = NULL WHERE confirm = $2 AND confirmed_at IS NULL AND made_at > $3";
        Ok(self.execute(sql, params![now, token, since]).await? > 0)
    }

    pub(crate) async fn end_mail(&self, org: OrgId, person: PersonId) -> sqlx::Result<()> {
        let sql = "DELETE FROM mail_addresses WHERE org = $1 AND person = $2";
        self.execute(sql, params![org, person]).await.map(drop)
    }

    /// By the link of a mail.
    pub(crate) async fn stop_mail(&self, token: Hash) -> sqlx::Result<()> {
        self.execute("DELETE FROM mail_addresses WHERE stop = $1", params![token]).await.map(drop)
    }

    /// Something was told, so many events and silences: a mail is due after
    /// `gather_ms`, and no sooner than `pause_ms` after the last one.
    pub(crate) async fn count_mail(
        &self,
        (org, person): (OrgId, PersonId),
        (events, silences): (u64, u64),
        now: Timestamp,
        (gather_ms, pause_ms): (u64, u64),
    ) -> sqlx::Result<()> {
        let sql = "UPDATE mail_addresses SET pending = pending + $1, silences = silences + $7, due_at = CASE \
                   WHEN due_at IS NOT NULL THEN due_at \
                   WHEN last_at IS NULL OR last_at < $2 THEN $3 \
                   ELSE last_at + $4 END \
                   WHERE org = $5 AND person = $6 AND confirmed_at IS NOT NULL";
        let free_since = now.minus_ms(pause_ms.saturating_sub(gather_ms));
        let values = params![events, free_since, now.plus_ms(gather_ms), pause_ms, org, person, silences];
        self.execute(sql, values).await.map(drop)
    }

    pub(crate) async fn mail_due(&self, now: Timestamp, limit: u64) -> sqlx::Result<Vec<MailRow>> {
        let sql = concat!(columns!(), "WHERE due_at <= $1 ORDER BY due_at LIMIT $2");
        self.all(sql, params![now, limit]).await?.iter().map(read).collect()
    }

    /// False if somebody else sends it, or it is another one by now.
    pub(crate) async fn claim_mail(&self, row: &MailRow, until: Timestamp) -> sqlx::Result<bool> {
        let Some(due_at) = row.due_at else { return Ok(false) };
        let sql = "UPDATE mail_addresses SET due_at = $1 WHERE org = $2 AND person = $3 AND round = $4 AND due_at = $5";
        Ok(self.execute(sql, params![until, row.org, row.person, row.round, due_at]).await? > 0)
    }

    /// What was told meanwhile waits for the next one. What asked for confirmation
    /// changes nothing any more once that is there: people may be faster than the
    /// server's answer.
    pub(crate) async fn mail_sent(&self, row: &MailRow, now: Timestamp, pause_ms: u64) -> sqlx::Result<()> {
        let sql = "UPDATE mail_addresses SET pending = pending - $1, silences = silences - $7, tries = 0, \
                   last_at = $2, concern = NULL, \
                   due_at = CASE WHEN pending > $1 OR silences > $7 THEN $3 ELSE NULL END \
                   WHERE org = $4 AND person = $5 AND round = $6 AND (confirmed_at IS NOT NULL) = ($8 = 1)";
        let MailRow { org, person, round, pending, silences, is_confirmed, .. } = row;
        let values = params![
            *pending,
            now,
            now.plus_ms(pause_ms),
            *org,
            *person,
            *round,
            *silences,
            u64::from(*is_confirmed)
        ];
        self.execute(sql, values).await.map(drop)
    }

    pub(crate) async fn mail_later(&self, row: &MailRow, due_at: Timestamp) -> sqlx::Result<()> {
        let sql = "UPDATE mail_addresses SET due_at = $1, tries = tries + 1 \
                   WHERE org = $2 AND person = $3 AND round = $4 AND (confirmed_at IS NOT NULL) = ($5 = 1)";
        let is_confirmed = u64::from(row.is_confirmed);
        self.execute(sql, params![due_at, row.org, row.person, row.round, is_confirmed]).await.map(drop)
    }

    /// It will not be sent.
    pub(crate) async fn mail_dropped(&self, row: &MailRow, concern: Option<&str>) -> sqlx::Result<()> {
        let sql = "UPDATE mail_addresses SET pending = 0, silences = 0, due_at = NULL, tries = 0, concern = $1 \
                   WHERE org = $2 AND person = $3 AND round = $4 AND (confirmed_at IS NOT NULL) = ($5 = 1)";
        let (concern, is_confirmed) = (concern.map(str::to_owned), u64::from(row.is_confirmed));
        self.execute(sql, params![concern, row.org, row.person, row.round, is_confirmed]).await.map(drop)
    }

    /// Addresses that nobody confirmed in time.
    pub(crate) async fn purge_mail(&self, since: Timestamp) -> sqlx::Result<()> {
        let sql = "DELETE FROM mail_addresses WHERE confirmed_at IS NULL AND made_at <= $1";
        self.execute(sql, params![since]).await.map(drop)
    }
}
