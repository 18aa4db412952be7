//! Groups of people, as identity providers and directories name them, and the
//! roles that the configuration gives to their members. Whoever can write to
//! the database alone puts nobody into a group: what a provider said is sealed,
//! and what a directory said is marked, by a key that is not in the database.
//! A role opens no camera that the roster does not.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Hash, OrgId, PersonId};
use seal::role::Roles;

use crate::config::{Config, GroupRoles};
use crate::database::{Database, DirectoryGroup};
use crate::vault::{Secret, Vault};

#[derive(Debug)]
pub(crate) struct Groups {
    vault: Arc<Vault>,
    /// By the ids of providers.
    providers: BTreeMap<String, GroupRoles>,
    directory: GroupRoles,
}

impl Groups {
    pub(crate) fn new(config: &Config, vault: Arc<Vault>) -> Self {
        let giving = config.identity_providers.iter().filter(|provider| !provider.roles.0.is_empty());
        let providers = giving.map(|provider| (provider.id.clone(), provider.roles.clone())).collect();
        Groups { vault, providers, directory: config.scim.roles.clone() }
    }

    /// Who has which roles by the groups of this moment. Whoever's roles come
    /// by groups is here, also if they give none.
    pub(crate) async fn roles(
        &self,
        database: &Database,
        org: OrgId,
    ) -> sqlx::Result<BTreeMap<PersonId, Roles>> {
        let mut found: BTreeMap<PersonId, Roles> = BTreeMap::new();
        let GroupRoles(of_directory) = &self.directory;
        // Where groups give roles at all, whoever comes from elsewhere has those alone.
        if !self.providers.is_empty() || !of_directory.is_empty() {
            for (person, provider, sealed) in database.provider_groups(org).await? {
                let given_here = found.entry(person).or_default();
                let Some(GroupRoles(roles)) = self.providers.get(&provider) else { continue };
                let names = unsealed(&self.vault, person, &provider, &sealed);
                let names = names.unwrap_or_else(|| {
                    tracing::error!(%person, "groups in the database are not as they were sealed, and give no role");
                    Vec::new()
                });
                let given = names.iter().filter_map(|name| roles.get(name)).flatten().cloned();
                given_here.extend(given);
            }
            for person in database.directory_person_ids(org).await? {
                found.entry(person).or_default();
            }
        }
        if !of_directory.is_empty() {
            let mut known: BTreeMap<Hash, Roles> = BTreeMap::new();
            for group in database.directory_groups(org).await? {
                if group.mark != group_mark(&self.vault, org, &group) {
                    tracing::error!(group = %group.id, "a group in the database is not as it was marked, and gives no role");
                    continue;
                }
                // A name can be taken by another group; an id cannot.
                let name = group.external_id.as_ref().unwrap_or(&group.display_name);
                known.insert(group.id, of_directory.get(name).cloned().unwrap_or_default());
            }
            for member in database.memberships(org).await? {
                let Some(roles) = known.get(&member.group).filter(|roles| !roles.is_empty()) else {
                    continue;
                };
                if member.mark == member_mark(&self.vault, org, member.group, member.person) {
                    found.entry(member.person).or_default().extend(roles.iter().cloned());
                } else {
                    tracing::error!(person = %member.person, "a member in the database is not as it was marked, and gets no role");
                }
            }
        }
        Ok(found)
    }
}

pub(crate) fn sealed(vault: &Vault, person: PersonId, provider: &str, names: &[String]) -> String {
    vault.seal(Secret::Groups(person), &seal::to_canonical(&(provider, names)))
}

/// None if it was sealed for somebody else, or not by this server.
pub(crate) fn unsealed(vault: &Vault, person: PersonId, provider: &str, sealed: &str) -> Option<Vec<String>> {
    let bytes = vault.unseal(Secret::Groups(person), sealed).ok()?;
    let (of, names): (String, Vec<String>) = seal::from_canonical(&bytes).ok()?;
    (of == provider).then_some(names)
}

pub(crate) fn group_mark(vault: &Vault, org: OrgId, group: &DirectoryGroup) -> Hash {
    let DirectoryGroup { id, display_name, external_id, .. } = group;
    vault.mark(&[&seal::to_canonical(&("group", org, id, display_name, external_id))])
}

pub(crate) fn member_mark(vault: &Vault, org: OrgId, group: Hash, person: PersonId) -> Hash {
    vault.mark(&[&seal::to_canonical(&("member", org, group, person))])
}
