//! The site's configuration: which cameras to pull and how much to keep. It
//! changes by signed command only, and its state is a chain of the commands
//! that made it, so an author always signs for the configuration that he saw.
//! (A hash of the content would let anyone who knows it guess at passwords.)

use std::collections::BTreeMap;

use model::{Bandwidth, BandwidthError, CameraAccess, CameraId, Forwarding, GatewayId, Hash, Quiet};
use seal::command::{Command, CommandError, CommandGate, SiteCommand, open_access, state_after};
use seal::keys::KemSecret;
use serde::{Deserialize, Serialize};

/// Cameras of one gateway.
pub const CAMERAS_MAX: usize = 500;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    pub bytes_max: u64,
    pub age_days_max: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
}

impl Default for Retention {
    /// 50 GB and 30 days.
    fn default() -> Self {
        Retention { bytes_max: 50_000_000_000, age_days_max: 30, quiet: None }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    state: Hash,
    pub cameras: BTreeMap<CameraId, CameraAccess>,
    pub retention: Retention,
    /// Of the cameras of which not everything is forwarded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    forwarding: BTreeMap<CameraId, Forwarding>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub bandwidth: Bandwidth,
    /// Kept with the configuration, so that a restart forgets no nonce.
    pub gate: CommandGate,
}

/// A site that has set nothing looks as it always did, also to an older program.
fn is_default(bandwidth: &Bandwidth) -> bool {
    *bandwidth == Bandwidth::default()
}

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("this gateway has no camera {0}")]
    NoSuchCamera(CameraId),
    #[error("a gateway has at most {CAMERAS_MAX} cameras")]
    TooManyCameras,
    #[error("an rtsps:// camera needs the fingerprint of its certificate; run the connection test first")]
    NoCertificate,
    #[error("retention must keep at least 100 MB and one day")]
    Retention,
    #[error("what is quiet is kept for one day at least, and for no longer than the rest")]
    Quiet,
    #[error(transparent)]
    Bandwidth(#[from] BandwidthError),
}

impl Site {
    pub fn new(gateway: GatewayId) -> Self {
        Site {
            state: seal::sha256(format!("lenskeep site v1\0{gateway}").as_bytes()),
            cameras: BTreeMap::new(),
            retention: Retention::default(),
            forwarding: BTreeMap::new(),
            bandwidth: Bandwidth::default(),
            gate: CommandGate::default(),
        }
    }

    pub fn state(&self) -> Hash {
        self.state
    }

    /// Each camera with what of it is forwarded.
    pub fn forwarding(&self) -> BTreeMap<CameraId, Forwarding> {
        self.cameras.keys().map(|camera| (*camera, self.forwarding_of(*camera))).collect()
    }

    pub fn forwarding_of(&self, camera: CameraId) -> Forwarding {
        self.forwarding.get(&camera).copied().unwrap_or_default()
    }

    /// Carries out an admitted command, except tests and questions, which
    /// change nothing. After an error nothing has changed.
    pub fn apply(&mut self, command: &SiteCommand, key: &KemSecret) -> Result<(), ApplyError> {
        match &command.command {
            Command::TestCamera { .. }
            | Command::FindCameras {}
            | Command::AskCamera { .. }
            | Command::LookAtCamera { .. }
            | Command::ListFindings { .. }
            | Command::SweepCameras { .. }
            | Command::StopSweep {} => return Ok(()),
            Command::PutCamera { camera, sealed } => {
                let access = open_access(command, *camera, sealed, key)?;
                if access.url.is_tls() && access.certificate.is_none() {
                    return Err(ApplyError::NoCertificate);
                }
                if self.cameras.len() >= CAMERAS_MAX && !self.cameras.contains_key(camera) {
                    return Err(ApplyError::TooManyCameras);
                }
                self.cameras.insert(*camera, access);
            }
            Command::RemoveCamera { camera } => {
                self.cameras.remove(camera).ok_or(ApplyError::NoSuchCamera(*camera))?;
                self.forwarding.remove(camera);
            }
            Command::SetRetention { bytes_max, age_days_max, quiet } => {
                if *bytes_max < 100_000_000 || *age_days_max == 0 {
                    return Err(ApplyError::Retention);
                }
                if quiet.as_ref().is_some_and(|quiet| !(1..=*age_days_max).contains(&quiet.days_max)) {
                    return Err(ApplyError::Quiet);
                }
                let (bytes_max, age_days_max) = (*bytes_max, *age_days_max);
                self.retention = Retention { bytes_max, age_days_max, quiet: quiet.clone() };
            }
            Command::SetForwarding { camera, forwarding } => {
                if !self.cameras.contains_key(camera) {
                    return Err(ApplyError::NoSuchCamera(*camera));
                }
                if *forwarding == Forwarding::default() {
                    self.forwarding.remove(camera);
                } else {
                    self.forwarding.insert(*camera, *forwarding);
                }
            }
            Command::SetBandwidth { bandwidth } => {
                bandwidth.check()?;
                self.bandwidth = bandwidth.clone();
            }
        }
        self.state = state_after(self.state, &command.nonce);
        Ok(())
    }
}
