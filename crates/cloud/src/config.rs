//! Configuration: one struct, read fully before a port opens. Unknown keys
//! are refused with line and suggestion.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use model::Secret;
use seal::role::{ASSIGNMENTS_MAX, Roles};
use seal::tlog::LogKey;
use serde::Deserialize;
use url::Url;

pub use gateways::GatewaysSection;
pub use mail::{MailSection, MailTls};

mod gateways;
mod mail;

const PROVIDER_ID_CHARS_MAX: usize = 40;
/// Witnesses of this server's histories at most, as the roster names them.
const WITNESSES_MAX: usize = 16;
/// Logs of others that this server witnesses at most.
const WITNESSED_LOGS_MAX: usize = 1_000;
const SHARES_GIBIBYTES_MAX: u64 = 1 << 20;
/// Claims that do not name one person for good.
const CHANGING_CLAIMS: [&str; 5] = ["email", "name", "nickname", "preferred_username", "upn"];

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder of what must survive a restart: the CA of the gateway port, and
    /// by default database and footage. Default `lenskeep-cloud`.
    pub data: PathBuf,
    pub listen: Listen,
    pub database: DatabaseSection,
    pub store: StoreSection,
    pub history: HistorySection,
    /// Whose histories this server signs. Default: nobody's.
    pub witness: WitnessSection,
    /// Where the history is sent to. Default: nowhere.
    pub syslog: Option<SyslogSection>,
    /// What gateways are watched for.
    pub gateways: GatewaysSection,
    /// How people's browsers are told of events while nobody looks.
    pub push: PushSection,
    /// How people are told of events by e-mail. Default: not at all.
    pub mail: Option<MailSection>,
    /// Footage that people share by links.
    pub shares: SharesSection,
    /// OpenID providers whose people may sign in. Default none.
    pub identity_providers: Vec<IdentityProviderSection>,
    /// Directories that provision people by SCIM.
    pub scim: ScimSection,
    /// Further origins whose pages may sign in, each with its own passkeys:
    /// `http://localhost:8475` for `lenskeep app`. Default none.
    pub app_origins: Vec<Url>,
    /// The demonstration's camera, told to pages on this machine. Set by
    /// `lenskeep up`, never by a file.
    #[serde(skip)]
    pub demo_camera: Option<DemoCamera>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Web app and API. Default `127.0.0.1:8470`. Any address but loopback
    /// demands `tls_certificate` and `tls_key`.
    pub viewers: SocketAddr,
    /// Gateways, always TLS with a certificate of the cloud's own CA.
    /// Default `127.0.0.1:8471`.
    pub gateways: SocketAddr,
    /// `/healthz`, `/readyz`, `/metrics`. Default `127.0.0.1:8472`.
    pub metrics: SocketAddr,
    /// How people reach the web app. Its host is the passkeys' RP id.
    /// Default `http://localhost:` (with `tls_certificate` `https://`) and the
    /// port of `viewers`.
    pub public_url: Option<Url>,
    /// Names and addresses that gateways reach this cloud by, beside localhost
    /// and the host of `public_url`. Default none.
    pub gateway_names: Vec<String>,
    /// Certificate chain of the viewers' port, PEM. Default none.
    pub tls_certificate: Option<PathBuf>,
    /// Its private key, PEM. Default none.
    pub tls_key: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseSection {
    /// `sqlite:/path/cloud.db` or `postgres://…`. Default: SQLite in `data`.
    pub url: Option<Secret>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// `folder` or `azure`. Default `folder`.
    pub kind: StoreKind,
    /// `folder`: where the objects are. Default `store` in `data`.
    pub path: Option<PathBuf>,
    /// `azure`: name of the storage account.
    pub account: Option<String>,
    /// `azure`: the blob service, `https://ACCOUNT.blob.core.windows.net`
    /// (default) or another one that is HTTPS.
    pub endpoint: Option<Url>,
    /// `azure`: container of recordings. Default `footage`.
    pub footage: String,
    /// `azure`: container of epoch grants. Default `grants`.
    pub grants: String,
    /// `azure`: container of the history's log. Default `history`.
    pub history: String,
    /// `azure`: the identity that makes upload tokens. Default `managed-identity`.
    pub credential: CredentialKind,
    /// `azure`: file with a bearer token, read anew each time; for `token-file`.
    pub token_file: Option<PathBuf>,
    /// `azure`: the identity that reads. Default: the same as `credential`.
    pub read_credential: Option<CredentialKind>,
    /// `azure`: bearer token of the identity that reads. Default `token_file`.
    pub read_token_file: Option<PathBuf>,
    /// `azure`: CA of the endpoint's certificate, PEM, instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// The history's log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistorySection {
    /// Who else signs it, beside the gateways (C2SP tlog-witness): other
    /// servers of Lenskeep, or public witnesses. Default nobody.
    pub witnesses: Vec<OutsideWitnessSection>,
    /// How often they are asked, 1 to 300. Default 30.
    pub witness_seconds: u64,
    /// How often recordings that were confirmed get an entry, one for all of an
    /// organisation, 1 to 3600. Default 60.
    pub recordings_seconds: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutsideWitnessSection {
    /// What `/add-checkpoint` is appended to: of another server of Lenskeep,
    /// its address and `/witness`. HTTPS, or HTTP on this machine.
    pub url: Url,
    /// Its key, `NAME+HASH+BASE64`: of another server of Lenskeep, what
    /// `lenskeep-cloud witness-key` prints there.
    pub key: String,
    /// CA of its certificate, PEM, instead of the system's.
    pub ca_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WitnessSection {
    /// The name that this server signs with. It is a part of the key that
    /// others pin, so it should stay. Default: the host of `listen.public_url`
    /// and `/witness`.
    pub name: Option<String>,
    /// Keys of the logs that are signed, `lenskeep/ORG+HASH+BASE64`, as
    /// `lenskeep audit key` prints. Default none.
    pub logs: Vec<String>,
}

/// A collector of security events that takes syslog over TLS (RFC 5425).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyslogSection {
    /// `HOST:PORT`; the usual port is 6514.
    pub server: String,
    /// Certificates that the collector's must come from, PEM.
    pub ca_file: PathBuf,
    /// Our own certificate chain and key, PEM, where the collector asks for
    /// them. Default none.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// Push services (RFC 8030). They learn that, and when, a browser is told
/// something, and not what.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PushSection {
    /// Hosts to which messages are sent, and no others: where a message goes a
    /// browser says. `*.` stands for one label or more. Default: the services of
    /// Chrome, Edge, Firefox and Safari. An empty list: nobody is told anything.
    pub services: Vec<String>,
    /// Where a push service can complain: `mailto:` or `https://` (RFC 8292).
    /// Default `listen.public_url`.
    pub contact: Option<String>,
    /// CA of the services' certificates, PEM, instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Footage that people share by links, sealed by their devices.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SharesSection {
    /// Where it lies; servers behind one name need one folder. Default `shares`
    /// in `data`.
    pub path: Option<PathBuf>,
    /// All that lies there of one organisation, 0 to 1048576. Default 20. 0: nobody
    /// shares.
    pub gibibytes_max: u64,
}

/// An OpenID provider (OpenID Connect Core 1.0, code flow with PKCE).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityProviderSection {
    /// Stands in addresses: 1 to 40 of `a-z`, `0-9` and `-`. The provider sends
    /// people back to `PUBLIC_URL/sign-in/ID`, which it must be told.
    pub id: String,
    /// What the sign-in page calls it.
    pub name: String,
    /// As the provider spells it in its discovery document; HTTPS, or HTTP on
    /// this machine.
    pub issuer: String,
    pub client_id: String,
    /// File with the client's secret. Default none: a public client.
    pub client_secret_file: Option<PathBuf>,
    /// Asked for beside `openid` and `profile`. Default none.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The claim with a person's groups. Default `groups`.
    #[serde(default = "groups_claim")]
    pub groups_claim: String,
    /// Whether people who come for the first time get an account. Default true;
    /// false where a directory provisions them.
    #[serde(default = "yes")]
    pub create_people: bool,
    /// The claim that is a provisioned person's `externalId`. Default `sub`;
    /// `oid` for Microsoft Entra ID.
    #[serde(default = "link_claim")]
    pub link_claim: String,
    /// Values of `acr` that stand for two factors; `amr` with `mfa` (RFC 8176)
    /// always does. Default none.
    #[serde(default)]
    pub second_factor_acr: Vec<String>,
    /// For each group, roles as in `operator all` (docs/policies.md).
    #[serde(default)]
    pub roles: GroupRoles,
    /// CA of the provider's certificate, PEM, instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Roles of the members of groups, as a directory or provider names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRoles(pub BTreeMap<String, Roles>);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScimSection {
    /// The identity provider at which the directory's people sign in: they are
    /// known there by `link_claim`. Default none.
    pub provider: Option<String>,
    /// For each group, by `externalId`, or `displayName` where it has none,
    /// roles as in `operator all`.
    pub roles: GroupRoles,
}

impl<'de> Deserialize<'de> for GroupRoles {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts: BTreeMap<String, Vec<String>> = BTreeMap::deserialize(deserializer)?;
        let of = |(group, texts): (String, Vec<String>)| {
            let roles = texts.iter().map(|text| text.parse()).collect::<Result<Roles, _>>();
            match roles {
                Ok(roles) if roles.len() <= ASSIGNMENTS_MAX => Ok((group, roles)),
                Ok(_) => Err(format!("roles of \"{group}\": at most {ASSIGNMENTS_MAX}")),
                Err(error) => Err(format!("roles of \"{group}\": {error}")),
            }
        };
        let roles = texts.into_iter().map(of).collect::<Result<_, _>>();
        roles.map(GroupRoles).map_err(serde::de::Error::custom)
    }
}

fn groups_claim() -> String {
    "groups".to_owned()
}

fn link_claim() -> String {
    "sub".to_owned()
}

fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreKind {
    #[default]
    Folder,
    Azure,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    #[default]
    ManagedIdentity,
    WorkloadIdentity,
    DeveloperTools,
    TokenFile,
}

#[derive(Clone, Debug)]
pub struct DemoCamera {
    pub url: String,
    pub sub_url: Option<String>,
    pub onvif_url: Option<String>,
    pub username: Option<String>,
    pub password: Option<Secret>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data: PathBuf::from("lenskeep-cloud"),
            listen: Listen::default(),
            database: DatabaseSection::default(),
            store: StoreSection::default(),
            history: HistorySection::default(),
            witness: WitnessSection::default(),
            syslog: None,
            gateways: GatewaysSection::default(),
            push: PushSection::default(),
            mail: None,
            shares: SharesSection::default(),
            identity_providers: Vec::new(),
            scim: ScimSection::default(),
            app_origins: Vec::new(),
            demo_camera: None,
        }
    }
}

impl Default for PushSection {
    fn default() -> Self {
        let services =
            ["fcm.googleapis.com", "*.notify.windows.com", "*.push.services.mozilla.com", "*.push.apple.com"];
        PushSection { services: services.map(str::to_owned).into(), contact: None, ca_file: None }
    }
}

impl Default for SharesSection {
    fn default() -> Self {
        SharesSection { path: None, gibibytes_max: 20 }
    }
}

impl Default for HistorySection {
    fn default() -> Self {
        HistorySection { witnesses: Vec::new(), witness_seconds: 30, recordings_seconds: 60 }
    }
}

impl Default for Listen {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Listen {
            viewers: loopback(8470),
            gateways: loopback(8471),
            metrics: loopback(8472),
            public_url: None,
            gateway_names: Vec::new(),
            tls_certificate: None,
            tls_key: None,
        }
    }
}

impl Default for StoreSection {
    fn default() -> Self {
        StoreSection {
            kind: StoreKind::Folder,
            path: None,
            account: None,
            endpoint: None,
            footage: "footage".to_owned(),
            grants: "grants".to_owned(),
            history: "history".to_owned(),
            credential: CredentialKind::default(),
            token_file: None,
            read_credential: None,
            read_token_file: None,
            ca_file: None,
        }
    }
}

impl Config {
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the configuration {} could not be read", path.display()))?;
        Self::parse(&text).with_context(|| format!("the configuration {} is not valid", path.display()))
    }

    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Config = model::config::parse(text)?;
        config.validate()?;
        Ok(config)
    }

    /// What no type can say. Also called by `start`, for configurations that
    /// a program made.
    pub fn validate(&self) -> anyhow::Result<()> {
        let listen = &self.listen;
        let tls = match (&listen.tls_certificate, &listen.tls_key) {
            (Some(_), Some(_)) => true,
            (None, None) => false,
            _ => bail!("listen.tls_certificate and listen.tls_key go together: set both or none"),
        };
        ensure!(
            tls || listen.viewers.ip().is_loopback(),
            "listen.viewers = \"{}\" can be reached from other machines, and passwords, passkeys and pictures \
             do not travel without TLS. Set listen.tls_certificate and listen.tls_key to PEM files and \
             listen.public_url to the https:// address that they are for; or listen on 127.0.0.1 and put a \
             proxy that speaks TLS before it",
            listen.viewers
        );
        if let Some(url) = &listen.public_url {
            check_origin("listen.public_url", url)?;
        }
        for origin in &self.app_origins {
            check_origin("app_origins", origin)?;
        }
        self.validate_witnesses()?;
        self.validate_push()?;
        self.gateways.validate()?;
        self.mail.as_ref().map_or(Ok(()), MailSection::validate)?;
        let SharesSection { gibibytes_max, .. } = self.shares;
        ensure!(
            gibibytes_max <= SHARES_GIBIBYTES_MAX,
            "shares.gibibytes_max = {gibibytes_max} must be from 0 (nobody shares) to {SHARES_GIBIBYTES_MAX}"
        );
        let mut ids = BTreeSet::new();
        for provider in &self.identity_providers {
            let IdentityProviderSection { id, issuer, .. } = provider;
            let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
            ensure!(
                (1..=PROVIDER_ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(plain),
                "identity_providers.id = \"{id}\" must be 1 to {PROVIDER_ID_CHARS_MAX} of a-z, 0-9 and -"
            );
            ensure!(ids.insert(id), "identity_providers.id = \"{id}\" stands twice");
            ensure!(
                !CHANGING_CLAIMS.contains(&provider.link_claim.as_str()),
                "identity_providers.link_claim = \"{}\" is what people or administrators change, or give to \
                 somebody else: use sub, or oid with Microsoft Entra ID",
                provider.link_claim
            );
            ensure!(
                provider.create_people || self.scim.provider.as_ref() == Some(id),
                "identity_providers.create_people = false lets nobody in at \"{id}\": set scim.provider = \"{id}\", \
                 so that a directory makes the accounts"
            );
            let https = Url::parse(issuer).is_ok_and(|url| is_confidential(&url));
            ensure!(
                https,
                "identity_providers.issuer = \"{issuer}\" must be https:// (http:// is for this machine only)"
            );
        }
        if let Some(provider) = &self.scim.provider {
            ensure!(ids.contains(provider), "scim.provider = \"{provider}\" is no id of identity_providers");
        }
        if self.store.kind == StoreKind::Azure {
            ensure!(self.store.account.is_some(), "store.kind = \"azure\" needs store.account");
            if let Some(endpoint) = &self.store.endpoint {
                ensure!(endpoint.scheme() == "https", "store.endpoint must begin with https://");
            }
            if self.store.credential == CredentialKind::TokenFile {
                ensure!(
                    self.store.token_file.is_some(),
                    "store.credential = \"token-file\" needs store.token_file"
                );
            }
        }
        Ok(())
    }

    fn validate_push(&self) -> anyhow::Result<()> {
        let PushSection { services, contact, .. } = &self.push;
        for service in services {
            let host = service.strip_prefix("*.").unwrap_or(service);
            let is_host =
                host.contains('.') && !host.contains(['*', '/', ':', '@']) && !host.starts_with('.');
            ensure!(
                is_host,
                "push.services: \"{service}\" must be a host such as push.example.org or *.example.org"
            );
        }
        if let Some(contact) = contact {
            ensure!(
                contact.starts_with("mailto:") || contact.starts_with("https://"),
                "push.contact = \"{contact}\" must begin with mailto: or https://"
            );
        }
        Ok(())
    }

    fn validate_witnesses(&self) -> anyhow::Result<()> {
        let HistorySection { witnesses, witness_seconds, recordings_seconds } = &self.history;
        ensure!(
            (1..=300).contains(witness_seconds),
            "history.witness_seconds = {witness_seconds} must be from 1 to 300"
        );
        ensure!(
            (1..=3600).contains(recordings_seconds),
            "history.recordings_seconds = {recordings_seconds} must be from 1 to 3600"
        );
        ensure!(
            witnesses.len() <= WITNESSES_MAX,
            "history.witnesses: {WITNESSES_MAX} at most; each is asked about every checkpoint"
        );
        let mut names = BTreeSet::new();
        for OutsideWitnessSection { url, key, .. } in witnesses {
            ensure!(
                is_confidential(url) && url.query().is_none() && url.fragment().is_none(),
                "history.witnesses.url = \"{url}\" must be https:// (http:// is for this machine only), with nothing \
                 behind the path"
            );
            let key = LogKey::parse_cosigner(key)
                .with_context(|| format!("history.witnesses.key = \"{key}\" cannot be read"))?;
            ensure!(names.insert(key.name.clone()), "history.witnesses: \"{}\" stands twice", key.name);
        }
        if let Some(name) = &self.witness.name {
            let good =
                (1..=200).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_graphic() && c != b'+');
            ensure!(
                good,
                "witness.name = \"{name}\" must be 1 to 200 ASCII characters without spaces and plus"
            );
        }
        let logs = &self.witness.logs;
        ensure!(logs.len() <= WITNESSED_LOGS_MAX, "witness.logs: {WITNESSED_LOGS_MAX} at most");
        let mut origins = BTreeSet::new();
        for key in logs {
            let log =
                LogKey::parse(key).with_context(|| format!("witness.logs: \"{key}\" cannot be read"))?;
            ensure!(origins.insert(log.name.clone()), "witness.logs: \"{}\" stands twice", log.name);
        }
        Ok(())
    }

    pub(crate) fn database_url(&self) -> Secret {
        let default = || Secret::new(format!("sqlite:{}", self.data.join("cloud.db").display()));
        self.database.url.clone().unwrap_or_else(default)
    }

    pub(crate) fn store_path(&self) -> PathBuf {
        self.store.path.clone().unwrap_or_else(|| self.data.join("store"))
    }

    pub(crate) fn shares_path(&self) -> PathBuf {
        self.shares.path.clone().unwrap_or_else(|| self.data.join("shares"))
    }

    pub(crate) fn public_url(&self, viewer_port: u16) -> Url {
        self.listen.public_url.clone().unwrap_or_else(|| {
            let scheme = if self.listen.tls_certificate.is_some() { "https" } else { "http" };
            Url::parse(&format!("{scheme}://localhost:{viewer_port}")).expect("a URL by its making")
        })
    }
}

/// Whether nobody on a network reads along.
pub(crate) fn is_confidential(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    url.scheme() == "https" || (url.scheme() == "http" && local)
}

fn check_origin(key: &str, url: &Url) -> anyhow::Result<()> {
    let host = url.host_str().unwrap_or_default();
    ensure!(
        url.path() == "/" && url.query().is_none() && url.fragment().is_none(),
        "{key} = \"{url}\" must be an origin: scheme, host and port, nothing behind"
    );
    ensure!(
        host.trim_matches(['[', ']']).parse::<IpAddr>().is_err(),
        "{key} = \"{url}\" must have a name: passkeys are not made for addresses. On one machine, use localhost"
    );
    let local = host == "localhost" || host.ends_with(".localhost");
    ensure!(
        url.scheme() == "https" || (url.scheme() == "http" && local),
        "{key} = \"{url}\" must be https:// (http:// is for localhost only)"
    );
    Ok(())
}

#[cfg(test)]
mod tests;
