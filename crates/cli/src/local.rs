//! Reading without the cloud: a gateway of this network proves itself by the
//! key that this device's own roster names, lets the device in, and gives what
//! the roster opens. Addresses are hints; whoever answers there has to prove
//! who it is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context as _, bail};
use gateway::local::client::{Entered, enter};
use model::{CameraId, DeviceId, GatewayId};
use reqwest::{Method, RequestBuilder};
use seal::keyring::DeviceKeys;
use seal::keys::SigningKey;
use seal::roster::Roster;
use tokio::sync::{Mutex, MutexGuard};

use crate::client::{Client, Refused, Session, now};
use crate::home::{DeviceFile, Home};

/// Where gateways answered last.
const ADDRESSES: &str = "local-gateways.json";
type Addresses = BTreeMap<GatewayId, SocketAddr>;

/// A gateway that this device is let in by, for as long as it takes: the proof
/// is made anew when half of its time has passed.
pub(crate) struct Site {
    address: SocketAddr,
    roster: Roster,
    device: DeviceId,
    key: SigningKey,
    gateway: GatewayId,
    inside: Mutex<(Entered, Instant)>,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Site {
    async fn enter(
        address: SocketAddr,
        expected: Option<GatewayId>,
        roster: &Roster,
        device: DeviceId,
        keys: &DeviceKeys,
    ) -> anyhow::Result<Self> {
        let key = SigningKey::from_seed(*keys.sign.seed());
        let entered = enter(address, expected, roster, device, &key)
            .await
            .with_context(|| format!("the gateway at {address} (--local)"))?;
        let (roster, gateway) = (roster.clone(), entered.gateway);
        Ok(Site { address, roster, device, key, gateway, inside: Mutex::new((entered, Instant::now())) })
    }

    pub(crate) async fn request(&self, method: Method, path: &str) -> anyhow::Result<RequestBuilder> {
        let inside = self.stay().await?;
        let (entered, _) = &*inside;
        let url = entered.base.join(path)?;
        Ok(entered.http.request(method, url).bearer_auth(entered.token.expose()))
    }

    /// Proves the device anew if it is time for it.
    pub(crate) async fn stay(&self) -> anyhow::Result<MutexGuard<'_, (Entered, Instant)>> {
        let mut inside = self.inside.lock().await;
        let (entered, since) = &mut *inside;
        if since.elapsed() > entered.life / 2 {
            *entered = enter(self.address, Some(self.gateway), &self.roster, self.device, &self.key).await?;
            *since = Instant::now();
        }
        Ok(inside)
    }
}

/// Signs in to the cloud; to a gateway with `local`, and to those that this
/// device knows if the cloud cannot be reached. With a camera, to its gateway
/// alone. At least one session, or why not.
pub(crate) async fn sessions(
    home: &Home,
    local: Option<SocketAddr>,
    camera: Option<CameraId>,
) -> anyhow::Result<Vec<Session>> {
    let file = home.device()?;
    let keys = file.unlock()?;
    let missing = "the roster is missing; make this device again";
    let roster = home.roster(file.anchor)?.context(missing)?;
    let expected = camera.and_then(|camera| roster.camera(camera)).map(|camera| camera.gateway);
    if let Some(address) = local {
        let session = open(home, &file, keys, roster, address, expected).await?;
        return Ok(vec![session]);
    }
    let seeds = (*keys.kem.seed(), *keys.sign.seed());
    let unreachable = match Session::signed_in(home, file.clone(), keys).await {
        Ok(session) => return Ok(vec![session]),
        Err(error) if is_unreachable(&error) => error,
        Err(error) => return Err(error),
    };
    let wanted = |gateway: &GatewayId| expected.is_none_or(|expected| expected == *gateway);
    let known = addresses(home)?.into_iter().filter(|(gateway, _)| wanted(gateway));
    let mut sessions = Vec::new();
    for (gateway, address) in known {
        let keys = DeviceKeys::from_seeds(seeds.0, seeds.1);
        match open(home, &file, keys, roster.clone(), address, Some(gateway)).await {
            Ok(session) => sessions.push(session),
            Err(error) => tracing::warn!("{error:#}"),
        }
    }
    if sessions.is_empty() {
        bail!("{unreachable:#}. Where a gateway is on this network, --local ADDRESS:8474 asks it directly");
    }
    tracing::warn!("the cloud cannot be reached; what follows comes from the site itself");
    Ok(sessions)
}

/// The one that is asked about one camera.
pub(crate) async fn session(
    home: &Home,
    local: Option<SocketAddr>,
    camera: CameraId,
) -> anyhow::Result<Session> {
    Ok(sessions(home, local, Some(camera)).await?.swap_remove(0))
}

async fn open(
    home: &Home,
    file: &DeviceFile,
    keys: DeviceKeys,
    roster: Roster,
    address: SocketAddr,
    expected: Option<GatewayId>,
) -> anyhow::Result<Session> {
    let site = Site::enter(address, expected, &roster, file.device, &keys).await?;
    remember(home, site.gateway, address)?;
    let (gateway, known) = (site.gateway, site.inside.lock().await.0.roster_head);
    let mut session = Session::new(Client::of_site(site)?, file.clone(), keys, roster, home);
    session.sync().await?;
    session.check_head(known, gateway).await?;
    session.note_unheard(gateway, known, now());
    Ok(session)
}

/// Nobody there, or nobody behind what is there.
fn is_unreachable(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<Refused>();
    refused.is_some_and(|refused| matches!(refused.status, 502..=504))
        || error
            .downcast_ref::<reqwest::Error>()
            .is_some_and(|error| error.is_connect() || error.is_timeout())
}

fn addresses(home: &Home) -> anyhow::Result<Addresses> {
    let path = home.path().join(ADDRESSES);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Addresses::new()),
        Err(error) => Err(error).with_context(|| format!("{} could not be read", path.display())),
    }
}

fn remember(home: &Home, gateway: GatewayId, address: SocketAddr) -> anyhow::Result<()> {
    let mut known = addresses(home)?;
    if known.insert(gateway, address) == Some(address) {
        return Ok(());
    }
    home.write_private(ADDRESSES, &serde_json::to_vec_pretty(&known)?)
}
