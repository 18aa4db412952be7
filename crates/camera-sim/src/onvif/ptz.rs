//! ONVIF's PTZ service, and what leads to it in a profile.

use std::time::Duration;

use quick_xml::escape::escape;

use super::OnvifOptions;
use super::answers::{Answer, content};
use super::request::Request;
use crate::head::{Head, Position};

/// Of a movement that says none.
const LASTS: Duration = Duration::from_secs(10);
const LASTS_MAX: Duration = Duration::from_secs(60);
/// Longer than anybody waits.
pub(super) const LASTS_AT_FAULT: Duration = Duration::from_secs(3_600);

/// How slow a camera is that is slow.
pub(super) const SLOW: Duration = Duration::from_secs(4);

/// What cameras do wrong that can be moved. Each of them moves on until it is told
/// to stop, whatever the time of the order says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PtzFault {
    /// Nothing else.
    GoesOn,
    /// The first Stop of each movement fails.
    StopFails,
    /// It takes 4 s to say which positions it remembers.
    SlowPresets,
    /// It has no profile of the name by which it was known, until it is asked for
    /// its profiles again.
    ProfileRenamed,
}

/// None for a camera that cannot be moved, and a request that is none of these.
pub(super) async fn answer(options: &OnvifOptions, head: &Head, request: &Request) -> Option<Answer> {
    if !options.ptz {
        return None;
    }
    let fault = options.ptz_fault;
    if fault == Some(PtzFault::ProfileRenamed) && head.is_renamed(request.name == "GetProfiles") {
        let is_of_profile = request.text("ProfileToken").is_some() && request.name != "GetStreamUri";
        if is_of_profile {
            return Some(Answer::fault("Sender", "NoProfile", "there is no such profile"));
        }
    }
    let token = || request.text("PresetToken").and_then(|token| token.parse().ok());
    let unknown = || Answer::fault("Sender", "NoToken", "there is no such preset");
    Some(match request.name.as_str() {
        "GetNode" => node(),
        "GetPresets" => {
            if fault == Some(PtzFault::SlowPresets) {
                tokio::time::sleep(SLOW).await;
            }
            presets(&head.presets())
        }
        "ContinuousMove" => {
            let speed = |name| request.text(name).and_then(|text| text.parse().ok()).unwrap_or(0.0);
            let speed = Position { pan: speed("PanTilt.x"), tilt: speed("PanTilt.y"), zoom: speed("Zoom.x") };
            let lasts = match request.text("Timeout") {
                _ if fault.is_some() => LASTS_AT_FAULT,
                Some(_) => request.duration("Timeout", time::OffsetDateTime::now_utc()).min(LASTS_MAX),
                None => LASTS,
            };
            head.turn(speed, lasts);
            done("ContinuousMove")
        }
        "Stop" if head.stop(fault == Some(PtzFault::StopFails)) => done("Stop"),
        "Stop" => Answer::fault("Receiver", "Action", "the motor does not answer"),
        "GotoHomePosition" => {
            head.go_to(None);
            done("GotoHomePosition")
        }
        "GotoPreset" => match token() {
            Some(token) if head.go_to(Some(token)) => done("GotoPreset"),
            _ => unknown(),
        },
        "SetPreset" => match head.remember(request.text("PresetName").unwrap_or_default().to_owned()) {
            Some(token) => content(&format!(
                "<tptz:SetPresetResponse><tptz:PresetToken>{token}</tptz:PresetToken></tptz:SetPresetResponse>"
            )),
            None => Answer::fault("Receiver", "TooManyPresets", "there is no room for another preset"),
        },
        "RemovePreset" => match token() {
            Some(token) if head.forget(token) => done("RemovePreset"),
            _ => unknown(),
        },
        _ => return None,
    })
}

fn done(request: &str) -> Answer {
    content(&format!("<tptz:{request}Response/>"))
}

/// Of a profile of the older or the newer media service.
pub(super) fn configuration(is_new: bool) -> String {
    let (open, close) = match is_new {
        true => ("<tr2:PTZ token=\"ptz\">", "</tr2:PTZ>"),
        false => ("<tt:PTZConfiguration token=\"ptz\">", "</tt:PTZConfiguration>"),
    };
    format!(
        "{open}<tt:Name>ptz</tt:Name><tt:UseCount>1</tt:UseCount><tt:NodeToken>head</tt:NodeToken>\
         <tt:DefaultContinuousPanTiltVelocitySpace>http://www.onvif.org/ver10/tptz/PanTiltSpaces/VelocityGenericSpace\
         </tt:DefaultContinuousPanTiltVelocitySpace>{close}"
    )
}

fn node() -> Answer {
    let space = |kind: &str, name: &str, axes: &str| {
        let range: String = axes
            .chars()
            .map(|axis| format!("<tt:{axis}Range><tt:Min>-1</tt:Min><tt:Max>1</tt:Max></tt:{axis}Range>"))
            .collect();
        format!(
            "<tt:{kind}><tt:URI>http://www.onvif.org/ver10/tptz/{name}/VelocityGenericSpace</tt:URI>{range}</tt:{kind}>"
        )
    };
    content(&format!(
        "<tptz:GetNodeResponse><tptz:PTZNode token=\"head\"><tt:SupportedPTZSpaces>{}{}</tt:SupportedPTZSpaces>\
         <tt:MaximumNumberOfPresets>100</tt:MaximumNumberOfPresets><tt:HomeSupported>true</tt:HomeSupported>\
         </tptz:PTZNode></tptz:GetNodeResponse>",
        space("ContinuousPanTiltVelocitySpace", "PanTiltSpaces", "XY"),
        space("ContinuousZoomVelocitySpace", "ZoomSpaces", "X")
    ))
}

fn presets(presets: &[(u32, String)]) -> Answer {
    let preset = |(token, name): &(u32, String)| {
        format!("<tptz:Preset token=\"{token}\"><tt:Name>{}</tt:Name></tptz:Preset>", escape(name.as_str()))
    };
    let presets: String = presets.iter().map(preset).collect();
    content(&format!("<tptz:GetPresetsResponse>{presets}</tptz:GetPresetsResponse>"))
}
