//! Moving a camera (ONVIF PTZ Service Specification): what it can do, where its
//! presets are, and what it is told. A camera that has no PTZ, or no profile
//! with it, cannot be moved, which is no error.

use std::collections::BTreeSet;
use std::time::Duration;

use quick_xml::escape::escape;
use seal::ptz::{MOVE_MS_MAX, Movement, PRESETS_MAX, Preset, SPEED_MAX, is_name, is_token};
use tokio::time::timeout;

use super::client::{Client, Target};
use super::messages::{self, Request, SCHEMA};
use super::xml::{Element, Namespace};
use super::{Limits, OnvifAccess, OnvifError, error, services};

const PTZ: Namespace = &["http://www.onvif.org/ver20/ptz/wsdl"];
const MEDIA: Namespace = &["http://www.onvif.org/ver10/media/wsdl"];
const MEDIA_2: Namespace = &["http://www.onvif.org/ver20/media/wsdl"];
/// The camera's own word for a profile, node or preset, in bytes.
const TOKEN_MAX: usize = 64;
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

/// One camera that can be moved.
#[derive(Debug)]
pub struct PtzCamera {
    client: Client,
    service: Target,
    profile: String,
    pub abilities: PtzAbilities,
}

/// A profile with which the camera can be moved.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Profile {
    token: String,
    node: String,
}

impl PtzCamera {
    /// `None` for a camera that cannot be moved.
    pub async fn find(access: &OnvifAccess, limits: &Limits) -> Result<Option<Self>, OnvifError> {
        let mut client = Client::new(access, limits)?;
        let found = Box::pin(services::find(&mut client, where_it_is)).await?;
        let Some((ptz, media, is_second)) = found else { return Ok(None) };
        let service = client.target(&ptz, String::new())?;
        let media = client.target(&media, String::new())?;
        let answer = client.ask(&media, &ask_profiles(is_second)).await?;
        let Some(profile) = profile(&answer) else { return Ok(None) };
        let node = client.ask(&service, &ask_node(&profile.node)).await?;
        let abilities = abilities(&node);
        let moves = abilities.pan_tilt || abilities.zoom;
        Ok(moves.then_some(PtzCamera { client, service, profile: profile.token, abilities }))
    }

    pub async fn presets(&mut self) -> Result<Vec<Preset>, OnvifError> {
        let request = self.request("GetPresets", String::new());
        self.client.ask(&self.service, &request).await.map(|answer| presets(&answer))
    }

    /// The same camera, for questions beside this one's orders.
    pub fn beside(&self) -> Self {
        PtzCamera {
            client: self.client.beside(),
            service: self.service.clone(),
            profile: self.profile.clone(),
            abilities: self.abilities,
        }
    }

    /// Within [`ANSWER_MAX`], also where the camera asks for the password first.
    pub async fn carry_out(&mut self, movement: &Movement) -> Result<(), OnvifError> {
        let request = match movement {
            Movement::Move { pan, tilt, zoom } => {
                self.request("ContinuousMove", self.velocity((*pan, *tilt), *zoom))
            }
            Movement::Stop => self.request("Stop", "<PanTilt>true</PanTilt><Zoom>true</Zoom>".to_owned()),
            Movement::Home => self.request("GotoHomePosition", String::new()),
            Movement::GoTo { preset } => self.request("GotoPreset", preset_token(preset)),
            Movement::SavePreset { name } => {
                self.request("SetPreset", format!("<PresetName>{}</PresetName>", escape(name)))
            }
            Movement::RemovePreset { preset } => self.request("RemovePreset", preset_token(preset)),
        };
        let late = OnvifError::AnswerTimeout { step: request.step, seconds: ANSWER_MAX.as_secs() };
        let asking = self.client.ask_for(&self.service, &request, ANSWER_MAX);
        timeout(ANSWER_MAX, asking).await.map_err(|_| late)?.map(drop)
    }

    /// The camera stops by itself as well, in case nobody can tell it to any more.
    fn velocity(&self, (pan, tilt): (i16, i16), zoom: i16) -> String {
        let part = |speed: i16| f64::from(speed) / f64::from(SPEED_MAX);
        let mut velocity = String::new();
        if self.abilities.pan_tilt {
            velocity +=
                &format!("<PanTilt xmlns=\"{}\" x=\"{}\" y=\"{}\"/>", SCHEMA[0], part(pan), part(tilt));
        }
        if self.abilities.zoom {
            velocity += &format!("<Zoom xmlns=\"{}\" x=\"{}\"/>", SCHEMA[0], part(zoom));
        }
        format!("<Velocity>{velocity}</Velocity><Timeout>PT{}S</Timeout>", MOVE_MS_MAX.div_ceil(1_000))
    }

    fn request(&self, step: &'static str, content: String) -> Request {
        let action = match step {
            "GetPresets" => "http://www.onvif.org/ver20/ptz/wsdl/GetPresets",
            "ContinuousMove" => "http://www.onvif.org/ver20/ptz/wsdl/ContinuousMove",
            "Stop" => "http://www.onvif.org/ver20/ptz/wsdl/Stop",
            "GotoHomePosition" => "http://www.onvif.org/ver20/ptz/wsdl/GotoHomePosition",
            "GotoPreset" => "http://www.onvif.org/ver20/ptz/wsdl/GotoPreset",
            "SetPreset" => "http://www.onvif.org/ver20/ptz/wsdl/SetPreset",
            _ => "http://www.onvif.org/ver20/ptz/wsdl/RemovePreset",
        };
        let body = format!(
            "<{step} xmlns=\"{}\"><ProfileToken>{}</ProfileToken>{content}</{step}>",
            PTZ[0],
            escape(&self.profile)
        );
        Request { step, action, body }
    }
}

fn preset_token(token: &str) -> String {
    format!("<PresetToken>{}</PresetToken>", escape(token))
}

/// Addresses of PTZ and media service, and whether the latter is the second one.
fn where_it_is(answer: &Element) -> Option<(String, String, bool)> {
    let ptz = messages::service(answer, PTZ, "PTZ")?.to_owned();
    // The capabilities name the first one alone.
    let first = messages::service(answer, MEDIA, "Media").map(|media| (media, false));
    let (media, is_second) = first.or_else(|| Some((messages::service(answer, MEDIA_2, "")?, true)))?;
    Some((ptz, media.to_owned(), is_second))
}

fn ask_profiles(is_second: bool) -> Request {
    let step = "GetProfiles";
    match is_second {
        false => Request {
            step,
            action: "http://www.onvif.org/ver10/media/wsdl/GetProfiles",
            body: format!("<GetProfiles xmlns=\"{}\"/>", MEDIA[0]),
        },
        true => Request {
            step,
            action: "http://www.onvif.org/ver20/media/wsdl/GetProfiles",
            body: format!("<GetProfiles xmlns=\"{}\"><Type>PTZ</Type></GetProfiles>", MEDIA_2[0]),
        },
    }
}

fn ask_node(node: &str) -> Request {
    Request {
        step: "GetNode",
        action: "http://www.onvif.org/ver20/ptz/wsdl/GetNode",
        body: format!("<GetNode xmlns=\"{}\"><NodeToken>{}</NodeToken></GetNode>", PTZ[0], escape(node)),
    }
}

fn is_word(token: &str) -> bool {
    (1..=TOKEN_MAX).contains(&token.len()) && !token.chars().any(char::is_control)
}

/// The first with PTZ, of either media service.
fn profile(answer: &Element) -> Option<Profile> {
    let of = |profile: &Element| {
        let configuration = profile
            .child(SCHEMA, "PTZConfiguration")
            .or_else(|| profile.child(MEDIA_2, "Configurations")?.child(MEDIA_2, "PTZ"))?;
        let (token, node) = (profile.attribute("token")?, configuration.child(SCHEMA, "NodeToken")?.text());
        (is_word(token) && is_word(node)).then(|| Profile { token: token.to_owned(), node: node.to_owned() })
    };
    answer.all(MEDIA, "Profiles").find_map(of).or_else(|| answer.all(MEDIA_2, "Profiles").find_map(of))
}

fn abilities(answer: &Element) -> PtzAbilities {
    let Some(node) = answer.child(PTZ, "PTZNode") else { return PtzAbilities::default() };
    let has = |space: &str| {
        node.child(SCHEMA, "SupportedPTZSpaces").is_some_and(|spaces| spaces.child(SCHEMA, space).is_some())
    };
    let home = node.child(SCHEMA, "HomeSupported").is_some_and(|home| matches!(home.text(), "true" | "1"));
    PtzAbilities {
        pan_tilt: has("ContinuousPanTiltVelocitySpace"),
        zoom: has("ContinuousZoomVelocitySpace"),
        home,
    }
}

/// Those that can be told again; their names as they may be shown.
fn presets(answer: &Element) -> Vec<Preset> {
    let preset = |element: &Element| {
        let token = element.attribute("token").filter(|token| is_token(token))?;
        let name = element.child(SCHEMA, "Name").map_or("", Element::text);
        let name: String = error::clean(name).trim().chars().take(seal::ptz::PRESET_NAME_CHARS_MAX).collect();
        let name = if is_name(&name) { name } else { token.to_owned() };
        is_name(&name).then(|| Preset { token: token.to_owned(), name })
    };
    let mut tokens = BTreeSet::new();
    // One that is said twice cannot be told apart.
    let presets = answer.all(PTZ, "Preset").filter_map(preset);
    presets.filter(|preset| tokens.insert(preset.token.clone())).take(PRESETS_MAX).collect()
}

/// For the fuzzer: any answer is read, and what comes of it can be signed.
pub(super) fn fuzz_answer(answer: &Element) {
    let _ = (where_it_is(answer), profile(answer), abilities(answer));
    for preset in presets(answer) {
        assert!(is_token(&preset.token) && is_name(&preset.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onvif::xml;

    fn read(text: &str) -> Element {
        xml::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn both_media_services_name_a_profile_with_ptz() {
        let first = read(
            "<r:GetProfilesResponse xmlns:r=\"http://www.onvif.org/ver10/media/wsdl\" xmlns:t=\"http://www.onvif.org/ver10/schema\">\
             <r:Profiles token=\"fixed\"><t:Name>a</t:Name></r:Profiles>\
             <r:Profiles token=\"dome\"><t:PTZConfiguration token=\"c\"><t:NodeToken>n1</t:NodeToken></t:PTZConfiguration>\
             </r:Profiles></r:GetProfilesResponse>",
        );
        let second = read(
            "<GetProfilesResponse xmlns=\"http://www.onvif.org/ver20/media/wsdl\"><Profiles token=\"dome\">\
             <Configurations><PTZ token=\"c\"><NodeToken xmlns=\"http://www.onvif.org/ver10/schema\">n1</NodeToken></PTZ>\
             </Configurations></Profiles></GetProfilesResponse>",
        );
        for answer in [first, second] {
            assert_eq!(profile(&answer), Some(Profile { token: "dome".into(), node: "n1".into() }));
        }
        let fixed = read(
            "<GetProfilesResponse xmlns=\"http://www.onvif.org/ver10/media/wsdl\"><Profiles token=\"fixed\"/>\
             </GetProfilesResponse>",
        );
        assert_eq!(profile(&fixed), None);
    }

    #[test]
    fn presets_have_names_that_can_be_shown() {
        let long = "x".repeat(TOKEN_MAX + 1);
        let answer = read(&format!(
            "<p:GetPresetsResponse xmlns:p=\"http://www.onvif.org/ver20/ptz/wsdl\" xmlns:t=\"http://www.onvif.org/ver10/schema\">\
             <p:Preset token=\"1\"><t:Name>Gate &amp; yard</t:Name></p:Preset><p:Preset token=\"2\"/>\
             <p:Preset token=\"3\"><t:Name>\u{202e}&#x9;door</t:Name></p:Preset><p:Preset token=\"{long}\"/><p:Preset/>\
             <p:Preset token=\"1\"><t:Name>Said twice</t:Name></p:Preset>\
             </p:GetPresetsResponse>"
        ));
        let names: Vec<_> = presets(&answer).into_iter().map(|preset| (preset.token, preset.name)).collect();
        let expected = [("1", "Gate & yard"), ("2", "2"), ("3", "door")];
        assert_eq!(names, expected.map(|(token, name)| (token.to_owned(), name.to_owned())));
    }
}
