//! `lenskeep policy` and `lenskeep role`: checked, tested and compared on files,
//! then put in force on a running box.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::OneBox;

fn builtin() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

/// The built-in set and one more file.
fn set_with(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(builtin()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "cedar") {
            std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    std::fs::write(folder.path().join("own.cedar"), text).unwrap();
    folder
}

const NO_EXPORT: &str = "@id(\"no-export\") @why(\"footage stays here\") forbid (principal, action == Action::\"export\", resource);";

const NO_LISTS: &str = "@id(\"no-lists\") @why(\"footage stays here\") forbid (principal is Person, action == Action::\"listRecordings\", resource);";

/// Without a home: nothing may ask for one.
fn lenskeep(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lenskeep"))
        .args(arguments)
        .env("LENSKEEP_HOME", "/nowhere")
        .output()
        .unwrap()
}

/// Standard output of a call that works without any cloud.
fn offline(arguments: &[&str]) -> String {
    let output = lenskeep(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(arguments: &[&str]) -> String {
    let output = lenskeep(arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn the_policies_of_this_repository_pass_their_own_tests() {
    let folder = builtin();
    let folder = folder.to_str().unwrap();
    assert!(offline(&["policy", "check", folder]).contains("policies, digest"));
    let told = offline(&["policy", "test", folder]);
    assert!(told.ends_with("passed, 0 failed\n") && !told.starts_with("0 "), "{told}");
}

#[test]
fn a_set_that_does_something_else_fails_the_tests() {
    let folder = set_with(NO_EXPORT);
    let tests = builtin().join("tests");
    let told =
        refused(&["policy", "test", folder.path().to_str().unwrap(), "--tests", tests.to_str().unwrap()]);
    assert!(told.contains("anna export door is denied by no-export"), "{told}");

    for (text, place) in [
        ("\n\nforbid (principal, action, resource", "own.cedar line 3"),
        ("@id(\"x\") @why(\"y\") forbid (principal, action == Action::\"fly\", resource);", "policy x"),
    ] {
        let told = refused(&["policy", "check", set_with(text).path().to_str().unwrap()]);
        assert!(told.contains(place), "{told}");
    }
    assert!(refused(&["policy", "check", "/nowhere"]).contains("/nowhere cannot be read"));
}

#[test]
fn questions_are_answered_with_their_reasons_without_a_cloud() {
    let folder = tempfile::tempdir().unwrap();
    let world = folder.path().join("world.toml");
    let described = "[gateways.north]\n[cameras.door]\ngateway = \"north\"\n[people.anna]\nopens = [\"all\"]\nroles = [\"viewer all\"]\n";
    std::fs::write(&world, described).unwrap();
    let world = world.to_str().unwrap();
    let ask =
        ["policy", "explain", "--who", "anna", "--to", "door", "--policies", "builtin", "--world", world];
    let told = offline(&[&ask[..], &["--does", "live"]].concat());
    assert!(told.starts_with("allowed by viewers-watch\n"), "{told}");
    assert!(offline(&[&ask[..], &["--does", "export"]].concat()).starts_with("denied: nothing permits it"));
    assert!(refused(&[&ask[..], &["--does", "fly"]].concat()).contains("`fly` is no action"));
    assert!(refused(&[&ask[..], &["--does", "invite"]].concat()).contains("does not fit the schema"));

    let new = set_with(NO_EXPORT);
    std::fs::write(world, described.replace("viewer all", "operator all")).unwrap();
    let diff = ["policy", "diff", new.path().to_str().unwrap(), "--policies", "builtin", "--world", world];
    let told = offline(&diff);
    assert!(told.contains("closes anna  door") && told.contains("opens 0, closes 1;"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_and_roles_are_put_in_force_and_shown() {
    let (site, camera) = OneBox::with_camera();
    assert!(site.succeed(&["policy", "show"]).contains("built in"));
    let new = set_with(NO_LISTS);
    let folder = new.path().to_str().unwrap();
    let told = site.succeed(&["policy", "apply", folder, "--yes"]);
    assert!(told.contains("closes 1;") && told.ends_with("in force\n"), "{told}");
    let shown = site.succeed(&["policy", "show"]);
    assert!(shown.contains("in force since 20") && shown.contains("no-lists: footage stays here"), "{shown}");
    let out = site.data().join("shown");
    site.succeed(&["policy", "show", "--out", out.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(out.join("own.cedar")).unwrap(), NO_LISTS);

    let denied = site.fail(&["recording", "list", "--camera", &camera]);
    assert!(denied.contains("no-lists") && denied.contains("footage stays here"), "{denied}");
    let told = site.succeed(&["policy", "apply", builtin().to_str().unwrap(), "--yes"]);
    assert!(told.contains("opens 1, closes 0;"), "{told}");

    let listed = site.succeed(&["role", "list"]);
    assert!(listed.contains("Nobody has a role"), "{listed}");
    assert!(
        site.fail(&["role", "assign", "usr_00000000000000000000000000000001", "viewer all"])
            .contains("nobody in the roster")
    );
}
