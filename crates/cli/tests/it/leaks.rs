//! What leaked into cameras, by the command line, with a real gateway that reads them.

use camera_sim::{Credentials, OnvifAuth, OnvifOptions, Options};
use model::{Rendition, Secret};
use serde_json::Value;

use crate::support::OneBox;

const SECRET: &str = "north-gate-7-Harbour";

#[test]
fn gateways_read_their_cameras_and_tell_the_command_line_where_secrets_lie_open() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let onvif_options = OnvifOptions {
        vapix: true,
        auth: OnvifAuth::Sha256,
        parameters: vec![format!("root.SMTP.Password={SECRET}")],
        ..OnvifOptions::default()
    };
    let credentials = Some(Credentials { username: "root".into(), password: Secret::new("lighthouse") });
    let onvif = Some(([127, 0, 0, 1], 0).into());
    let options = Options { credentials, onvif, onvif_options, ..Options::default() };
    let camera = runtime.block_on(camera_sim::start(options)).unwrap();
    let (site, door) = OneBox::with_camera();
    let password = site.path("password");
    std::fs::write(&password, "lighthouse\n").unwrap();
    site.succeed(&[
        "camera",
        "add",
        "--name",
        "Gate",
        "--username",
        "root",
        "--password-file",
        password.to_str().unwrap(),
        "--onvif-url",
        &camera.stream_url().unwrap(),
        &camera.url(Rendition::Main).to_string(),
    ]);
    let before = site.succeed(&["camera", "findings"]);
    assert!(before.contains("Gate") && before.contains("never read"), "{before}");

    let said = site.succeed(&["camera", "sweep"]);
    for words in ["Password in a parameter list of Axis", "root.SMTP.Password", "high"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // The demonstration camera was added without the address of its services.
    assert!(said.contains("not all of it: it was added without"), "{said}");
    let found: Value = serde_json::from_str(&site.succeed(&["camera", "findings", "--json"])).unwrap();
    let of =
        |camera: &dyn Fn(&Value) -> bool| found.as_array().unwrap().iter().find(|one| camera(one)).unwrap();
    assert_eq!(of(&|one| one["camera"] == door)["findings"], Value::Array(Vec::new()));
    let gate = of(&|one| one["camera"] != door);
    let text = found.to_string();
    assert!(!text.contains(SECRET) && !said.contains(SECRET) && !text.contains("lighthouse"), "{text}");

    let gate = gate["camera"].as_str().unwrap();
    let again = site.succeed(&["camera", "sweep", gate]);
    assert!(again.contains("Gate") && !again.contains("Door"), "{again}");
    site.succeed(&["camera", "sweep", "--stop"]);
    let error = site.fail(&["camera", "findings", "--gateway", "gw_00000000000000000000000000000000"]);
    assert!(error.contains("no such gateway"), "{error}");
}
