//! People as identity providers and directories name them.

use cloud_core::{Audited, Permit};
use model::{Hash, OrgId, PersonId, Timestamp};

use super::{Database, Row, Transaction, params};

/// A person as a directory provisions them.
#[derive(Clone, Debug)]
pub(crate) struct DirectoryPerson {
    pub(crate) person: PersonId,
    pub(crate) user_name: String,
    pub(crate) external_id: Option<String>,
    pub(crate) display_name: String,
    pub(crate) active: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) changed_at: Timestamp,
}

#[derive(Clone, Debug)]
pub(crate) struct DirectoryGroup {
    pub(crate) id: Hash,
    pub(crate) display_name: String,
    pub(crate) external_id: Option<String>,
    pub(crate) mark: Hash,
    pub(crate) created_at: Timestamp,
    pub(crate) changed_at: Timestamp,
}

/// Who belongs to which group, with the server's mark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Membership {
    pub(crate) group: Hash,
    pub(crate) person: PersonId,
    pub(crate) mark: Hash,
}

/// A statement that gives rows for [`person`].
macro_rules! people {
    ($rest:literal) => {
        concat!(
            "SELECT d.person, d.user_name, COALESCE(d.external_id, ''), d.display_name, \
             COALESCE(p.disabled_at, 0), d.created_at, d.changed_at \
             FROM directory_people d JOIN people p ON p.org = d.org AND p.person = d.person \
             WHERE d.org = $1 ",
            $rest
        )
    };
}

fn person(row: &Row) -> sqlx::Result<DirectoryPerson> {
    Ok(DirectoryPerson {
        person: row.parsed(0)?,
        user_name: row.text(1)?,
        external_id: Some(row.text(2)?).filter(|id| !id.is_empty()),
        display_name: row.text(3)?,
        active: row.number(4)? == 0,
        created_at: row.time(5)?,
        changed_at: row.time(6)?,
    })
}

fn group(row: &Row) -> sqlx::Result<DirectoryGroup> {
    Ok(DirectoryGroup {
        id: row.parsed(0)?,
        display_name: row.text(1)?,
        external_id: Some(row.text(2)?).filter(|id| !id.is_empty()),
        mark: row.parsed(3)?,
        created_at: row.time(4)?,
        changed_at: row.time(5)?,
    })
}

fn membership(row: &Row) -> sqlx::Result<Membership> {
    Ok(Membership { group: row.parsed(0)?, person: row.parsed(1)?, mark: row.parsed(2)? })
}

/// User names differ by more than upper and lower case (RFC 7643 section 4.1.1).
fn key(user_name: &str) -> String {
    user_name.to_lowercase()
}

impl Database {
    pub(crate) async fn person_of_identity(
        &self,
        org: OrgId,
        issuer: &str,
        subject: &str,
    ) -> sqlx::Result<Option<PersonId>> {
        let sql = "SELECT person FROM identities WHERE org = $1 AND issuer = $2 AND subject = $3";
        let row = self.optional(sql, params![org, issuer, subject]).await?;
        row.map(|row| row.parsed(0)).transpose()
    }

    /// For each person and provider, the sealed names of the groups.
    pub(crate) async fn provider_groups(&self, org: OrgId) -> sqlx::Result<Vec<(PersonId, String, String)>> {
        let sql = "SELECT person, provider, names FROM provider_groups WHERE org = $1";
        let rows = self.all(sql, params![org]).await?;
        rows.iter().map(|row| Ok((row.parsed(0)?, row.text(1)?, row.text(2)?))).collect()
    }

    pub(crate) async fn provider_groups_of(
        &self,
        org: OrgId,
        person: PersonId,
        provider: &str,
    ) -> sqlx::Result<Option<String>> {
        let sql = "SELECT names FROM provider_groups WHERE org = $1 AND person = $2 AND provider = $3";
        self.optional(sql, params![org, person, provider]).await?.map(|row| row.text(0)).transpose()
    }

    pub(crate) async fn directory_person(
        &self,
        org: OrgId,
        id: PersonId,
    ) -> sqlx::Result<Option<DirectoryPerson>> {
        let sql = people!("AND d.person = $2");
        self.optional(sql, params![org, id]).await?.as_ref().map(person).transpose()
    }

    pub(crate) async fn directory_person_named(
        &self,
        org: OrgId,
        user_name: &str,
    ) -> sqlx::Result<Option<DirectoryPerson>> {
        let sql = people!("AND d.user_key = $2");
        self.optional(sql, params![org, key(user_name)]).await?.as_ref().map(person).transpose()
    }

    /// The one person of this id in the directory; none if several have it.
    pub(crate) async fn directory_person_linked(
        &self,
        org: OrgId,
        external_id: &str,
    ) -> sqlx::Result<Option<DirectoryPerson>> {
        let found = self.directory_people_of(org, external_id).await?;
        Ok(if let [one] = found.as_slice() { Some(one.clone()) } else { None })
    }

    pub(crate) async fn directory_people_of(
        &self,
        org: OrgId,
        external_id: &str,
    ) -> sqlx::Result<Vec<DirectoryPerson>> {
        let sql = people!("AND d.external_id = $2 ORDER BY d.person");
        self.all(sql, params![org, external_id]).await?.iter().map(person).collect()
    }

    /// A page in the order of ids, and how many there are.
    pub(crate) async fn directory_people(
        &self,
        org: OrgId,
        (skip, limit): (u64, u64),
    ) -> sqlx::Result<(Vec<DirectoryPerson>, u64)> {
        let sql = people!("ORDER BY d.person LIMIT $2 OFFSET $3");
        let rows = self.all(sql, params![org, limit, skip]).await?;
        let people = rows.iter().map(person).collect::<sqlx::Result<_>>()?;
        let count = "SELECT COUNT(*) FROM directory_people WHERE org = $1";
        let count = self.optional(count, params![org]).await?.map_or(Ok(0), |row| row.number(0))?;
        Ok((people, count))
    }

    pub(crate) async fn directory_person_ids(&self, org: OrgId) -> sqlx::Result<Vec<PersonId>> {
        let rows = self.all("SELECT person FROM directory_people WHERE org = $1", params![org]).await?;
        rows.iter().map(|row| row.parsed(0)).collect()
    }

    pub(crate) async fn directory_groups(&self, org: OrgId) -> sqlx::Result<Vec<DirectoryGroup>> {
        let sql = "SELECT id, display_name, COALESCE(external_id, ''), mark, created_at, changed_at \
                   FROM directory_groups WHERE org = $1 ORDER BY id";
        self.all(sql, params![org]).await?.iter().map(group).collect()
    }

    pub(crate) async fn directory_group(&self, org: OrgId, id: Hash) -> sqlx::Result<Option<DirectoryGroup>> {
        let sql = "SELECT id, display_name, COALESCE(external_id, ''), mark, created_at, changed_at \
                   FROM directory_groups WHERE org = $1 AND id = $2";
        self.optional(sql, params![org, id]).await?.as_ref().map(group).transpose()
    }

    pub(crate) async fn memberships(&self, org: OrgId) -> sqlx::Result<Vec<Membership>> {
        let sql = "SELECT id, person, mark FROM directory_members WHERE org = $1";
        self.all(sql, params![org]).await?.iter().map(membership).collect()
    }

    pub(crate) async fn members(&self, org: OrgId, group: Hash) -> sqlx::Result<Vec<Membership>> {
        let sql = "SELECT id, person, mark FROM directory_members WHERE org = $1 AND id = $2 ORDER BY person";
        self.all(sql, params![org, group]).await?.iter().map(membership).collect()
    }
}

impl Transaction {
    /// False if somebody else has that name at the provider already.
    pub(crate) async fn add_identity(
        &mut self,
        org: OrgId,
        (issuer, subject): (&str, &str),
        person: PersonId,
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let sql = "INSERT INTO identities (org, issuer, subject, person, created_at) \
                   VALUES ($1, $2, $3, $4, $5) ON CONFLICT (org, issuer, subject) DO NOTHING";
        Ok(self.execute(sql, params![org, issuer, subject, person, now]).await? == 1)
    }

    /// The same for somebody whom the directory made: an identity may come from
    /// an account that is no more. False if the person has another one there.
    pub(crate) async fn link_identity(
        &mut self,
        org: OrgId,
        (issuer, subject): (&str, &str),
        person: PersonId,
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let sql = "INSERT INTO identities (org, issuer, subject, person, created_at) \
                   SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS \
                   (SELECT 1 FROM identities WHERE org = $1 AND issuer = $2 AND person = $4) \
                   ON CONFLICT (org, issuer, subject) DO UPDATE SET person = excluded.person";
        Ok(self.execute(sql, params![org, issuer, subject, person, now]).await? == 1)
    }

    pub(crate) async fn set_provider_groups(
        &mut self,
        (org, person): (OrgId, PersonId),
        provider: &str,
        sealed: &str,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<()> {
        let sql = "INSERT INTO provider_groups (org, person, provider, names) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (org, person, provider) DO UPDATE SET names = excluded.names";
        self.execute(sql, params![org, person, provider, sealed]).await?;
        self.directory_changed(org).await
    }

    pub(crate) async fn directory_changed(&mut self, org: OrgId) -> sqlx::Result<()> {
        let sql = "INSERT INTO directory_versions (org, version) VALUES ($1, 1) \
                   ON CONFLICT (org) DO UPDATE SET version = directory_versions.version + 1";
        self.execute(sql, params![org]).await.map(drop)
    }

    /// False if the user name is somebody else's.
    pub(crate) async fn add_directory_person(
        &mut self,
        org: OrgId,
        row: &DirectoryPerson,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<bool> {
        let DirectoryPerson { person, user_name, external_id, display_name, created_at, .. } = row;
        let sql = "INSERT INTO directory_people \
                   (org, person, user_name, user_key, external_id, display_name, created_at, changed_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT (org, user_key) DO NOTHING";
        let (user_name, display_name) = (user_name.as_str(), display_name.as_str());
        let (user_key, external_id) = (key(user_name), external_id.clone());
        let values = params![org, *person, user_name, user_key, external_id, display_name, *created_at];
        let added = self.execute(sql, values).await? == 1;
        self.directory_changed(org).await?;
        Ok(added)
    }

    /// False if the user name is somebody else's, or the person is gone.
    pub(crate) async fn describe_directory_person(
        &mut self,
        org: OrgId,
        row: &DirectoryPerson,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<bool> {
        let DirectoryPerson { person, user_name, external_id, display_name, changed_at, .. } = row;
        let (user_name, display_name) = (user_name.as_str(), display_name.as_str());
        let sql = "UPDATE directory_people SET user_name = $3, user_key = $4, external_id = $5, \
                   display_name = $6, changed_at = $7 WHERE org = $1 AND person = $2 AND NOT EXISTS \
                   (SELECT 1 FROM directory_people WHERE org = $1 AND user_key = $4 AND person <> $2)";
        let (user_key, external_id) = (key(user_name), external_id.clone());
        let values = params![org, *person, user_name, user_key, external_id, display_name, *changed_at];
        let changed = self.execute(sql, values).await? == 1;
        let sql = "UPDATE people SET name = $3 WHERE org = $1 AND person = $2";
        self.execute(sql, params![org, *person, display_name]).await?;
        Ok(changed)
    }

    pub(crate) async fn let_in(
        &mut self,
        org: OrgId,
        person: PersonId,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<()> {
        let sql = "UPDATE people SET disabled_at = NULL WHERE org = $1 AND person = $2";
        self.execute(sql, params![org, person]).await.map(drop)
    }

    /// Sessions and all. What takes away needs no proof that it is recorded.
    pub(crate) async fn shut_out(
        &mut self,
        org: OrgId,
        person: PersonId,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let sql = "UPDATE people SET disabled_at = $1 WHERE org = $2 AND person = $3 AND disabled_at IS NULL";
        self.execute(sql, params![now, org, person]).await?;
        for sql in [
            "DELETE FROM sessions WHERE org = $1 AND person = $2",
            // What was about to bring another way in, or another device.
            "DELETE FROM one_time_tokens WHERE org = $1 AND person = $2",
            "DELETE FROM device_requests WHERE org = $1 AND person = $2",
        ] {
            self.execute(sql, params![org, person]).await?;
        }
        Ok(())
    }

    /// The person stays disabled, and known at the provider: nobody comes again
    /// as somebody new. The directory has none of this id any more.
    pub(crate) async fn remove_directory_person(&mut self, org: OrgId, person: PersonId) -> sqlx::Result<()> {
        for sql in [
            "DELETE FROM directory_people WHERE org = $1 AND person = $2",
            "DELETE FROM directory_members WHERE org = $1 AND person = $2",
            "DELETE FROM provider_groups WHERE org = $1 AND person = $2",
        ] {
            self.execute(sql, params![org, person]).await?;
        }
        self.directory_changed(org).await
    }

    pub(crate) async fn set_directory_group(
        &mut self,
        org: OrgId,
        row: &DirectoryGroup,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<()> {
        let sql = "INSERT INTO directory_groups \
                   (org, id, display_name, external_id, mark, created_at, changed_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (org, id) DO UPDATE SET \
                   display_name = excluded.display_name, external_id = excluded.external_id, \
                   mark = excluded.mark, changed_at = excluded.changed_at";
        let DirectoryGroup { id, display_name, external_id, mark, created_at, changed_at } = row;
        let values =
            params![org, *id, display_name.as_str(), external_id.clone(), *mark, *created_at, *changed_at];
        self.execute(sql, values).await?;
        self.directory_changed(org).await
    }

    /// Those alone, so that requests at the same time do not undo each other.
    pub(crate) async fn add_members(
        &mut self,
        org: OrgId,
        added: &[Membership],
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<()> {
        for Membership { group, person, mark } in added {
            let sql = "INSERT INTO directory_members (org, id, person, mark) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT (org, id, person) DO UPDATE SET mark = excluded.mark";
            self.execute(sql, params![org, *group, *person, *mark]).await?;
        }
        self.directory_changed(org).await
    }

    pub(crate) async fn remove_members(
        &mut self,
        org: OrgId,
        group: Hash,
        removed: impl IntoIterator<Item = PersonId>,
    ) -> sqlx::Result<()> {
        for person in removed {
            let sql = "DELETE FROM directory_members WHERE org = $1 AND id = $2 AND person = $3";
            self.execute(sql, params![org, group, person]).await?;
        }
        self.directory_changed(org).await
    }

    pub(crate) async fn remove_directory_group(&mut self, org: OrgId, group: Hash) -> sqlx::Result<()> {
        for sql in [
            "DELETE FROM directory_members WHERE org = $1 AND id = $2",
            "DELETE FROM directory_groups WHERE org = $1 AND id = $2",
        ] {
            self.execute(sql, params![org, group]).await?;
        }
        self.directory_changed(org).await
    }
}
