//! How people sign in: passkeys by name, password and code, recovery codes.

use cloud_core::{Audited, Permit};
use model::{Hash, OrgId, PersonId, Timestamp};

use super::{Database, Transaction, params};
use crate::passkeys::NewPasskey;

/// A passkey as its owner sees it.
#[derive(Clone, Debug)]
pub(crate) struct PasskeyRow {
    pub(crate) credential: String,
    pub(crate) name: String,
    pub(crate) origin: String,
    pub(crate) created_at: Timestamp,
    pub(crate) used_at: Timestamp,
}

/// Password and seed of a person, sealed.
#[derive(Clone, Debug)]
pub(crate) struct PasswordLogin {
    pub(crate) org: OrgId,
    pub(crate) person: PersonId,
    pub(crate) login: String,
    pub(crate) password: String,
    pub(crate) totp: String,
    pub(crate) created_at: Timestamp,
    pub(crate) used_at: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RecoveryCodes {
    pub(crate) left: u64,
    pub(crate) made_at: Option<Timestamp>,
    pub(crate) used_at: Option<Timestamp>,
}

/// Why a way to sign in was not removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    Yes,
    NotThere,
    /// Nobody could sign in any more.
    Last,
}

fn password_login(row: &super::Row) -> sqlx::Result<PasswordLogin> {
    Ok(PasswordLogin {
        org: row.parsed(0)?,
        person: row.parsed(1)?,
        login: row.text(2)?,
        password: row.text(3)?,
        totp: row.text(4)?,
        created_at: row.time(5)?,
        used_at: row.time(6)?,
    })
}

impl Database {
    pub(crate) async fn passkeys_of(&self, org: OrgId, person: PersonId) -> sqlx::Result<Vec<PasskeyRow>> {
        let sql = "SELECT credential, name, origin, created_at, used_at FROM passkeys \
                   WHERE org = $1 AND person = $2 ORDER BY created_at, credential LIMIT 100";
        let rows = self.all(sql, params![org, person]).await?;
        let read = |row: &super::Row| {
            Ok(PasskeyRow {
                credential: row.text(0)?,
                name: row.text(1)?,
                origin: row.text(2)?,
                created_at: row.time(3)?,
                used_at: row.time(4)?,
            })
        };
        rows.iter().map(read).collect()
    }

    pub(crate) async fn passkey_used(
        &self,
        org: OrgId,
        credential: &str,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let sql = "UPDATE passkeys SET used_at = $1 WHERE org = $2 AND credential = $3";
        self.execute(sql, params![now, org, credential]).await.map(drop)
    }

    /// False if the person has no such passkey.
    pub(crate) async fn rename_passkey(
        &self,
        org: OrgId,
        person: PersonId,
        credential: &str,
        name: &str,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<bool> {
        let sql = "UPDATE passkeys SET name = $1 WHERE org = $2 AND person = $3 AND credential = $4";
        Ok(self.execute(sql, params![name, org, person, credential]).await? == 1)
    }

    pub(crate) async fn password_login(&self, login: &str) -> sqlx::Result<Option<PasswordLogin>> {
        const SQL: &str = "SELECT org, person, login, password, totp, created_at, used_at \
                           FROM password_logins WHERE login = $1";
        self.optional(SQL, params![login]).await?.as_ref().map(password_login).transpose()
    }

    pub(crate) async fn password_of(
        &self,
        org: OrgId,
        person: PersonId,
    ) -> sqlx::Result<Option<PasswordLogin>> {
        const SQL: &str = "SELECT org, person, login, password, totp, created_at, used_at \
                           FROM password_logins WHERE org = $1 AND person = $2";
        self.optional(SQL, params![org, person]).await?.as_ref().map(password_login).transpose()
    }

    /// Uses up a code. False if it, or a later one, was used: of two requests
    /// with one code, one gets through.
    pub(crate) async fn use_code(
        &self,
        org: OrgId,
        person: PersonId,
        step: u64,
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let sql = "UPDATE password_logins SET totp_step = $1, used_at = $2 \
                   WHERE org = $3 AND person = $4 AND totp_step < $1";
        Ok(self.execute(sql, params![step, now, org, person]).await? == 1)
    }

    pub(crate) async fn recovery_codes(&self, org: OrgId, person: PersonId) -> sqlx::Result<RecoveryCodes> {
        let sql = "SELECT COUNT(*), COALESCE(SUM(CASE WHEN used_at IS NULL THEN 1 ELSE 0 END), 0), \
                   COALESCE(MAX(created_at), 0), COALESCE(MAX(used_at), 0) FROM recovery_codes \
                   WHERE org = $1 AND person = $2";
        let Some(row) = self.optional(sql, params![org, person]).await? else {
            return Ok(RecoveryCodes::default());
        };
        let some = |time: Timestamp| (time.0 > 0).then_some(time);
        Ok(RecoveryCodes { left: row.number(1)?, made_at: some(row.time(2)?), used_at: some(row.time(3)?) })
    }

    /// Whose code this is, if it was not used.
    pub(crate) async fn owner_of_code(&self, code: Hash) -> sqlx::Result<Option<(OrgId, PersonId)>> {
        let sql = "SELECT org, person FROM recovery_codes WHERE code = $1 AND used_at IS NULL";
        let row = self.optional(sql, params![code]).await?;
        row.map(|row| Ok((row.parsed(0)?, row.parsed(1)?))).transpose()
    }
}

impl Transaction {
    pub(crate) async fn add_passkey(
        &mut self,
        org: OrgId,
        passkey: &NewPasskey,
        name: &str,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let sql = "INSERT INTO passkeys (org, person, credential, passkey, created_at, name, origin, used_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, 0)";
        let NewPasskey { person, credential, json, origin } = passkey;
        let (credential, json, origin) = (credential.as_str(), json.as_str(), origin.as_str());
        self.execute(sql, params![org, *person, credential, json, now, name, origin]).await.map(drop)
    }

    /// False if the name is somebody else's. Replaces what the person had.
    pub(crate) async fn set_password(&mut self, new: &PasswordLogin, step: u64) -> sqlx::Result<bool> {
        let PasswordLogin { org, person, login, password, totp, created_at, used_at } = new;
        let sql = "DELETE FROM password_logins WHERE org = $1 AND person = $2";
        self.execute(sql, params![*org, *person]).await?;
        let sql = "INSERT INTO password_logins \
                   (org, person, login, password, totp, totp_step, created_at, used_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (login) DO NOTHING";
        let (login, password, totp) = (login.as_str(), password.as_str(), totp.as_str());
        let values = params![*org, *person, login, password, totp, step, *created_at, *used_at];
        Ok(self.execute(sql, values).await? == 1)
    }

    pub(crate) async fn remove_passkey(
        &mut self,
        org: OrgId,
        person: PersonId,
        credential: &str,
    ) -> sqlx::Result<Removed> {
        let before = self.lock_and_count(org, person).await?;
        let sql = "DELETE FROM passkeys WHERE org = $1 AND person = $2 AND credential = $3";
        let removed = self.execute(sql, params![org, person, credential]).await?;
        Ok(removed_one(removed, before))
    }

    pub(crate) async fn remove_password(&mut self, org: OrgId, person: PersonId) -> sqlx::Result<Removed> {
        let before = self.lock_and_count(org, person).await?;
        let sql = "DELETE FROM password_logins WHERE org = $1 AND person = $2";
        let removed = self.execute(sql, params![org, person]).await?;
        Ok(removed_one(removed, before))
    }

    /// Ways to sign in. Holds the person's row, or two requests that each
    /// leave one would together leave none.
    async fn lock_and_count(&mut self, org: OrgId, person: PersonId) -> sqlx::Result<u64> {
        let sql = "UPDATE people SET name = name WHERE org = $1 AND person = $2";
        self.execute(sql, params![org, person]).await?;
        let sql = "SELECT (SELECT COUNT(*) FROM passkeys WHERE org = $1 AND person = $2) \
                   + (SELECT COUNT(*) FROM password_logins WHERE org = $1 AND person = $2)";
        self.optional(sql, params![org, person]).await?.map_or(Ok(0), |row| row.number(0))
    }

    pub(crate) async fn replace_recovery_codes(
        &mut self,
        org: OrgId,
        person: PersonId,
        codes: &[Hash],
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let sql = "DELETE FROM recovery_codes WHERE org = $1 AND person = $2";
        self.execute(sql, params![org, person]).await?;
        for code in codes {
            let sql = "INSERT INTO recovery_codes (org, person, code, created_at, used_at) \
                       VALUES ($1, $2, $3, $4, NULL)";
            self.execute(sql, params![org, person, *code, now]).await?;
        }
        Ok(())
    }

    /// False if it was used: of two requests, one gets through.
    pub(crate) async fn use_recovery_code(&mut self, code: Hash, now: Timestamp) -> sqlx::Result<bool> {
        let sql = "UPDATE recovery_codes SET used_at = $1 WHERE code = $2 AND used_at IS NULL";
        Ok(self.execute(sql, params![now, code]).await? == 1)
    }
}

fn removed_one(removed: u64, before: u64) -> Removed {
    match (removed, before) {
        (0, _) => Removed::NotThere,
        (_, 0 | 1) => Removed::Last,
        _ => Removed::Yes,
    }
}
