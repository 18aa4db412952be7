//! Moving a camera, by ONVIF's PTZ service or as cameras of Axis are moved
//! (VAPIX): what it can do, where its presets are, and what it is told. A camera
//! that has no PTZ cannot be moved, which is no error.

mod axis;
mod service;

use std::collections::BTreeSet;
use std::time::Duration;

use seal::ptz::{Movement, PRESET_NAME_CHARS_MAX, PRESETS_MAX, Preset, is_name, is_token};
use tokio::time::timeout;

use self::axis::Axis;
use self::service::Service;
use super::xml::Element;
use super::{Limits, OnvifAccess, OnvifError, error};

/// From an order to the camera's answer: who steers watches meanwhile.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// What a camera can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PtzAbilities {
    pub pan_tilt: bool,
    pub zoom: bool,
    /// It has a home position.
    pub home: bool,
}

impl PtzAbilities {
    fn moves(self) -> bool {
        self.pan_tilt || self.zoom
    }
}

/// By which of its services a camera is moved, and how that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PtzAccess {
    Onvif(OnvifAccess),
    /// VAPIX, at the host and port of this address.
    Axis(OnvifAccess),
}

/// One camera that can be moved.
#[derive(Debug)]
pub struct PtzCamera(Way);

#[derive(Debug)]
enum Way {
    Onvif(Box<Service>),
    Axis(Box<Axis>),
}

impl PtzCamera {
    /// `None` for a camera that cannot be moved.
    pub async fn find(access: &PtzAccess, limits: &Limits) -> Result<Option<Self>, OnvifError> {
        let way = match access {
            PtzAccess::Onvif(access) => {
                Box::pin(Service::find(access, limits)).await?.map(|found| Way::Onvif(Box::new(found)))
            }
            PtzAccess::Axis(access) => {
                Box::pin(Axis::find(access, limits)).await?.map(|found| Way::Axis(Box::new(found)))
            }
        };
        Ok(way.map(PtzCamera))
    }

    pub fn abilities(&self) -> PtzAbilities {
        match &self.0 {
            Way::Onvif(service) => service.abilities,
            Way::Axis(axis) => axis.abilities,
        }
    }

    pub async fn presets(&mut self) -> Result<Vec<Preset>, OnvifError> {
        match &mut self.0 {
            Way::Onvif(service) => service.presets().await,
            Way::Axis(axis) => axis.presets().await,
        }
    }

    /// The same camera, for questions beside this one's orders.
    pub fn beside(&self) -> Self {
        PtzCamera(match &self.0 {
            Way::Onvif(service) => Way::Onvif(Box::new(service.beside())),
            Way::Axis(axis) => Way::Axis(Box::new(axis.beside())),
        })
    }

    /// Within [`ANSWER_MAX`], also where the camera asks for the password first.
    pub async fn carry_out(&mut self, movement: &Movement) -> Result<(), OnvifError> {
        let (step, carried_out) = match &mut self.0 {
            Way::Onvif(service) => {
                let request = service.request_for(movement);
                (request.step, timeout(ANSWER_MAX, Box::pin(service.carry_out(&request))).await)
            }
            Way::Axis(axis) => {
                let request = axis.request_for(movement);
                (request.step, timeout(ANSWER_MAX, Box::pin(axis.carry_out(&request))).await)
            }
        };
        carried_out.map_err(|_| OnvifError::AnswerTimeout { step, seconds: ANSWER_MAX.as_secs() })?
    }
}

/// Of tokens and names those that can be told again; the names as they may be
/// shown. One that is said twice cannot be told apart.
fn listed<'a>(said: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Preset> {
    let preset = |(token, name): (&str, &str)| {
        let name: String = error::clean(name).trim().chars().take(PRESET_NAME_CHARS_MAX).collect();
        let name = if is_name(&name) { name } else { token.to_owned() };
        (is_token(token) && is_name(&name)).then(|| Preset { token: token.to_owned(), name })
    };
    let mut tokens = BTreeSet::new();
    said.filter_map(preset).filter(|preset| tokens.insert(preset.token.clone())).take(PRESETS_MAX).collect()
}

/// For the fuzzer: any answer is read, and what comes of it can be signed.
pub(super) fn fuzz_answer(answer: &Element) {
    check(&service::fuzz_answer(answer));
}

/// The same for the text of an answer by VAPIX.
pub(super) fn fuzz_text(text: &[u8]) {
    check(&axis::fuzz(text));
}

fn check(presets: &[Preset]) {
    assert!(presets.len() <= PRESETS_MAX);
    for preset in presets {
        assert!(is_token(&preset.token) && is_name(&preset.name));
    }
}
