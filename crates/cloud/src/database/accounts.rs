//! People, passkeys, sessions, ceremonies, one-time tokens.

use cloud_core::{Audited, Permit};
use model::{DeviceId, Hash, OrgId, PersonId, Timestamp};

use super::{Database, Row, Transaction, params};

#[derive(Clone, Debug)]
pub(crate) struct PersonRow {
    pub(crate) person: PersonId,
    pub(crate) name: String,
    pub(crate) created_at: Timestamp,
    pub(crate) disabled_at: Option<Timestamp>,
}

/// Of one person; the one that was not used for longest gives way to a new one.
const SESSIONS_MAX: u64 = 100;

#[derive(Clone, Debug)]
pub(crate) struct SessionRow {
    pub(crate) org: OrgId,
    pub(crate) person: PersonId,
    pub(crate) device: Option<DeviceId>,
    pub(crate) second_factor: bool,
    /// At its beginning an identity provider had just asked the person.
    pub(crate) just_now: bool,
    pub(crate) client: String,
    /// Thumbprint of the key to which the session is bound.
    pub(crate) key: Hash,
    pub(crate) created_at: Timestamp,
    pub(crate) seen_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Setup,
    Invitation,
    /// A person's new device may ask to be let in.
    LinkDevice,
    /// A person may add a passkey, or set a password.
    AddPasskey,
    SetPassword,
    /// A recovery code was used: one of both.
    Recovery,
}

#[derive(Clone, Debug)]
pub(crate) struct OneTimeToken {
    /// None for the set-up token.
    pub(crate) org: Option<OrgId>,
    pub(crate) person: Option<PersonId>,
    pub(crate) person_name: String,
}

impl TokenKind {
    fn as_str(self) -> &'static str {
        match self {
            TokenKind::Setup => "setup",
            TokenKind::Invitation => "invitation",
            TokenKind::LinkDevice => "link_device",
            TokenKind::AddPasskey => "add_passkey",
            TokenKind::SetPassword => "set_password",
            TokenKind::Recovery => "recovery",
        }
    }
}

fn one_time_token(row: &Row) -> sqlx::Result<OneTimeToken> {
    Ok(OneTimeToken { org: row.parsed(0).ok(), person: row.parsed(1).ok(), person_name: row.text(2)? })
}

fn session(row: &Row) -> sqlx::Result<SessionRow> {
    Ok(SessionRow {
        org: row.parsed(0)?,
        person: row.parsed(1)?,
        device: row.text_or_null(2)?.map(|_| row.parsed(2)).transpose()?,
        client: row.text(3)?,
        key: row.parsed(4)?,
        created_at: row.time(5)?,
        seen_at: row.time(6)?,
        second_factor: row.number(7)? != 0,
        just_now: row.number(8)? != 0,
    })
}

impl Database {
    pub(crate) async fn person_name(&self, org: OrgId, person: PersonId) -> sqlx::Result<Option<String>> {
        let sql = "SELECT name FROM people WHERE org = $1 AND person = $2";
        self.optional(sql, params![org, person]).await?.map(|row| row.text(0)).transpose()
    }

    pub(crate) async fn people(&self, org: OrgId) -> sqlx::Result<Vec<PersonRow>> {
        let sql = "SELECT person, name, created_at, disabled_at FROM people WHERE org = $1 AND name <> '' ORDER BY name, person";
        let person = |row: &Row| {
            Ok(PersonRow {
                person: row.parsed(0)?,
                name: row.text(1)?,
                created_at: row.time(2)?,
                disabled_at: row.number_or_null(3)?.map(Timestamp),
            })
        };
        self.all(sql, params![org]).await?.iter().map(person).collect()
    }

    /// Ids of people are never used again, in no organisation.
    pub(crate) async fn org_of_person(&self, person: PersonId) -> sqlx::Result<Option<OrgId>> {
        let row = self.optional("SELECT org FROM people WHERE person = $1", params![person]).await?;
        row.map(|row| row.parsed(0)).transpose()
    }

    pub(crate) async fn session(&self, token: Hash) -> sqlx::Result<Option<SessionRow>> {
        let sql = "SELECT org, person, device, client, proof_key, created_at, seen_at, second_factor, just_now \
                   FROM sessions s WHERE token = $1 AND NOT EXISTS (SELECT 1 FROM people p \
                   WHERE p.org = s.org AND p.person = s.person AND p.disabled_at IS NOT NULL)";
        self.optional(sql, params![token]).await?.as_ref().map(session).transpose()
    }

    /// Newest first, with their tokens' hashes.
    pub(crate) async fn sessions_of(
        &self,
        org: OrgId,
        person: PersonId,
    ) -> sqlx::Result<Vec<(Hash, SessionRow)>> {
        let sql = "SELECT org, person, device, client, proof_key, created_at, seen_at, second_factor, just_now, \
                   token FROM sessions WHERE org = $1 AND person = $2 ORDER BY created_at DESC, token";
        let rows = self.all(sql, params![org, person]).await?;
        rows.iter().map(|row| Ok((row.parsed(9)?, session(row)?))).collect()
    }

    pub(crate) async fn touch_session(&self, token: Hash, now: Timestamp) -> sqlx::Result<()> {
        self.execute("UPDATE sessions SET seen_at = $1 WHERE token = $2", params![now, token]).await.map(drop)
    }

    pub(crate) async fn end_session(&self, token: Hash) -> sqlx::Result<()> {
        self.execute("DELETE FROM sessions WHERE token = $1", params![token]).await.map(drop)
    }

    pub(crate) async fn end_sessions_of(&self, org: OrgId, person: PersonId) -> sqlx::Result<()> {
        let sql = "DELETE FROM sessions WHERE org = $1 AND person = $2";
        self.execute(sql, params![org, person]).await.map(drop)
    }

    pub(crate) async fn purge_sessions(
        &self,
        created_before: Timestamp,
        seen_before: Timestamp,
    ) -> sqlx::Result<u64> {
        let sql = "DELETE FROM sessions WHERE created_at < $1 OR seen_at < $2";
        self.execute(sql, params![created_before, seen_before]).await
    }

    /// Whose passkey this is, and what webauthn-rs keeps of it.
    pub(crate) async fn passkey(&self, credential: &str) -> sqlx::Result<Option<(OrgId, PersonId, String)>> {
        let sql = "SELECT org, person, passkey FROM passkeys WHERE credential = $1";
        let row = self.optional(sql, params![credential]).await?;
        row.map(|row| Ok((row.parsed(0)?, row.parsed(1)?, row.text(2)?))).transpose()
    }

    pub(crate) async fn has_passkey(&self, org: OrgId, person: PersonId) -> sqlx::Result<bool> {
        let sql = "SELECT 1 FROM passkeys WHERE org = $1 AND person = $2 LIMIT 1";
        Ok(self.optional(sql, params![org, person]).await?.is_some())
    }

    pub(crate) async fn update_passkey(
        &self,
        org: OrgId,
        credential: &str,
        passkey: &str,
    ) -> sqlx::Result<()> {
        let sql = "UPDATE passkeys SET passkey = $1 WHERE org = $2 AND credential = $3";
        self.execute(sql, params![passkey, org, credential]).await.map(drop)
    }

    pub(crate) async fn add_ceremony(
        &self,
        id: Hash,
        kind: &'static str,
        state: &str,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        self.execute("DELETE FROM ceremonies WHERE expires_at < $1", params![now]).await?;
        let sql = "INSERT INTO ceremonies (id, kind, state, expires_at) VALUES ($1, $2, $3, $4)";
        self.execute(sql, params![id, kind, state, expires_at]).await.map(drop)
    }

    /// Looks, and leaves it there.
    pub(crate) async fn ceremony(
        &self,
        id: Hash,
        kind: &'static str,
        now: Timestamp,
    ) -> sqlx::Result<Option<String>> {
        let sql = "SELECT state FROM ceremonies WHERE id = $1 AND kind = $2 AND expires_at > $3";
        self.optional(sql, params![id, kind, now]).await?.map(|row| row.text(0)).transpose()
    }

    /// Takes it out: a second request finds nothing.
    pub(crate) async fn take_ceremony(
        &self,
        id: Hash,
        kind: &'static str,
        now: Timestamp,
    ) -> sqlx::Result<Option<String>> {
        let sql = "DELETE FROM ceremonies WHERE id = $1 AND kind = $2 AND expires_at > $3 RETURNING state";
        self.optional(sql, params![id, kind, now]).await?.map(|row| row.text(0)).transpose()
    }

    /// A new set-up token replaces the one before.
    pub(crate) async fn set_setup_token(&self, token: Hash, expires_at: Timestamp) -> sqlx::Result<()> {
        self.execute("DELETE FROM one_time_tokens WHERE kind = 'setup'", vec![]).await?;
        let sql = "INSERT INTO one_time_tokens (org, token, kind, person, person_name, expires_at, used_at) \
                   VALUES ('', $1, 'setup', '', '', $2, NULL)";
        self.execute(sql, params![token, expires_at]).await.map(drop)
    }

    pub(crate) async fn add_invitation(
        &self,
        org: OrgId,
        token: Hash,
        person: PersonId,
        person_name: &str,
        expires_at: Timestamp,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<()> {
        let sql = "INSERT INTO one_time_tokens (org, token, kind, person, person_name, expires_at, used_at) \
                   VALUES ($1, $2, 'invitation', $3, $4, $5, NULL)";
        self.execute(sql, params![org, token, person, person_name, expires_at]).await.map(drop)
    }

    /// Permission to add one way to sign in.
    pub(crate) async fn add_factor_token(
        &self,
        kind: TokenKind,
        org: OrgId,
        token: Hash,
        person: PersonId,
        (now, expires_at): (Timestamp, Timestamp),
    ) -> sqlx::Result<()> {
        let sql = "DELETE FROM one_time_tokens \
                   WHERE kind IN ('add_passkey', 'set_password', 'recovery') AND expires_at < $1";
        self.execute(sql, params![now]).await?;
        let sql = "INSERT INTO one_time_tokens (org, token, kind, person, person_name, expires_at, used_at) \
                   SELECT $1, $2, $3, $4, name, $5, NULL FROM people WHERE org = $1 AND person = $4";
        self.execute(sql, params![org, token, kind.as_str(), person, expires_at]).await.map(drop)
    }

    /// Looks at a token without using it up.
    pub(crate) async fn one_time_token(
        &self,
        token: Hash,
        kind: TokenKind,
        now: Timestamp,
    ) -> sqlx::Result<Option<OneTimeToken>> {
        let sql = "SELECT org, person, person_name FROM one_time_tokens \
                   WHERE token = $1 AND kind = $2 AND used_at IS NULL AND expires_at > $3";
        self.optional(sql, params![token, kind.as_str(), now]).await?.as_ref().map(one_time_token).transpose()
    }
}

impl Transaction {
    /// Uses the token up; none if it was used, has ended or never was.
    pub(crate) async fn use_token(
        &mut self,
        token: Hash,
        kind: TokenKind,
        now: Timestamp,
    ) -> sqlx::Result<Option<OneTimeToken>> {
        let sql = "UPDATE one_time_tokens SET used_at = $1 \
                   WHERE token = $2 AND kind = $3 AND used_at IS NULL AND expires_at > $1 \
                   RETURNING org, person, person_name";
        self.optional(sql, params![now, token, kind.as_str()]).await?.as_ref().map(one_time_token).transpose()
    }

    pub(crate) async fn add_person(
        &mut self,
        org: OrgId,
        person: PersonId,
        name: &str,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let sql = "INSERT INTO people (org, person, name, created_at) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (org, person) DO NOTHING";
        self.execute(sql, params![org, person, name, now]).await.map(drop)
    }

    pub(crate) async fn is_disabled(&mut self, org: OrgId, person: PersonId) -> sqlx::Result<bool> {
        let sql = "SELECT 1 FROM people WHERE org = $1 AND person = $2 AND disabled_at IS NOT NULL";
        Ok(self.optional(sql, params![org, person]).await?.is_some())
    }

    /// Of the person's others, those that were used last stay.
    pub(crate) async fn add_session(&mut self, token: Hash, session: &SessionRow) -> sqlx::Result<()> {
        let sql = "INSERT INTO sessions \
                   (org, token, person, device, client, proof_key, created_at, seen_at, second_factor, just_now) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let SessionRow { org, person, device, second_factor, just_now, client, key, created_at, seen_at } =
            session;
        let device = device.map(|device| device.to_string());
        let (second_factor, just_now) = (u64::from(*second_factor), u64::from(*just_now));
        let (client, key) = (client.as_str(), *key);
        let values = params![
            *org,
            token,
            *person,
            device,
            client,
            key,
            *created_at,
            *seen_at,
            second_factor,
            just_now
        ];
        self.execute(sql, values).await?;
        let sql = "DELETE FROM sessions WHERE org = $1 AND person = $2 AND token NOT IN \
                   (SELECT token FROM sessions WHERE org = $1 AND person = $2 \
                    ORDER BY seen_at DESC, created_at DESC, token LIMIT $3)";
        self.execute(sql, params![*org, *person, SESSIONS_MAX]).await.map(drop)
    }
}
