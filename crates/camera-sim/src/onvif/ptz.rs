//! ONVIF's PTZ service, and what leads to it in a profile.

use std::time::Duration;

use quick_xml::escape::escape;

use super::answers::{Answer, content};
use super::request::Request;
use crate::head::{Head, Position};

/// Of a movement that says none.
const LASTS: Duration = Duration::from_secs(10);
const LASTS_MAX: Duration = Duration::from_secs(60);

/// None for a request that is none of these.
pub(super) fn answer(head: &Head, request: &Request) -> Option<Answer> {
    let token = || request.text("PresetToken").and_then(|token| token.parse().ok());
    let unknown = || Answer::fault("Sender", "NoToken", "there is no such preset");
    Some(match request.name.as_str() {
        "GetNode" => node(),
        "GetPresets" => presets(&head.presets()),
        "ContinuousMove" => {
            let speed = |name| request.text(name).and_then(|text| text.parse().ok()).unwrap_or(0.0);
            let speed = Position { pan: speed("PanTilt.x"), tilt: speed("PanTilt.y"), zoom: speed("Zoom.x") };
            let lasts = match request.text("Timeout") {
                Some(_) => request.duration("Timeout", time::OffsetDateTime::now_utc()),
                None => LASTS,
            };
            head.turn(speed, lasts.min(LASTS_MAX));
            done("ContinuousMove")
        }
        "Stop" => {
            head.stop();
            done("Stop")
        }
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
