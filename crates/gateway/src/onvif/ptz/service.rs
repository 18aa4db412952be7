//! Moving a camera by ONVIF (PTZ Service Specification). One that has no profile
//! with PTZ cannot be moved.

use quick_xml::escape::escape;
use seal::ptz::{MOVE_MS_MAX, Movement, Preset, SPEED_MAX};

use super::super::client::{Client, Target};
use super::super::messages::{self, Request, SCHEMA};
use super::super::services;
use super::super::xml::{Element, Namespace};
use super::{ANSWER_MAX, Limits, OnvifAccess, OnvifError, PtzAbilities, listed};

const PTZ: Namespace = &["http://www.onvif.org/ver20/ptz/wsdl"];
const MEDIA: Namespace = &["http://www.onvif.org/ver10/media/wsdl"];
const MEDIA_2: Namespace = &["http://www.onvif.org/ver20/media/wsdl"];
/// The camera's own word for a profile, node or preset, in bytes.
const TOKEN_MAX: usize = 64;

/// The PTZ service of one camera, and one of its profiles.
#[derive(Debug)]
pub(super) struct Service {
    client: Client,
    service: Target,
    profile: String,
    pub(super) abilities: PtzAbilities,
}

/// A profile with which the camera can be moved.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Profile {
    token: String,
    node: String,
}

impl Service {
    /// `None` for a camera that cannot be moved.
    pub(super) async fn find(access: &OnvifAccess, limits: &Limits) -> Result<Option<Self>, OnvifError> {
        let mut client = Client::new(access, limits)?;
        let found = Box::pin(services::find(&mut client, where_it_is)).await?;
        let Some((ptz, media, is_second)) = found else { return Ok(None) };
        let service = client.target(&ptz, String::new())?;
        let media = client.target(&media, String::new())?;
        let answer = client.ask(&media, &ask_profiles(is_second)).await?;
        let Some(profile) = profile(&answer) else { return Ok(None) };
        let node = client.ask(&service, &ask_node(&profile.node)).await?;
        let abilities = abilities(&node);
        Ok(abilities.moves().then_some(Service { client, service, profile: profile.token, abilities }))
    }

    pub(super) async fn presets(&mut self) -> Result<Vec<Preset>, OnvifError> {
        let request = self.request("GetPresets", String::new());
        self.client.ask(&self.service, &request).await.map(|answer| presets(&answer))
    }

    pub(super) fn beside(&self) -> Self {
        Service {
            client: self.client.beside(),
            service: self.service.clone(),
            profile: self.profile.clone(),
            abilities: self.abilities,
        }
    }

    pub(super) async fn carry_out(&mut self, request: &Request) -> Result<(), OnvifError> {
        self.client.ask_for(&self.service, request, ANSWER_MAX).await.map(drop)
    }

    pub(super) fn request_for(&self, movement: &Movement) -> Request {
        match movement {
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
        }
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

fn presets(answer: &Element) -> Vec<Preset> {
    listed(answer.all(PTZ, "Preset").filter_map(|preset| {
        Some((preset.attribute("token")?, preset.child(SCHEMA, "Name").map_or("", Element::text)))
    }))
}

pub(super) fn fuzz_answer(answer: &Element) -> Vec<Preset> {
    let _ = (where_it_is(answer), profile(answer), abilities(answer));
    presets(answer)
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
