//! A program's account, from the command line: made, listed, used, revoked.

use reqwest::StatusCode;

use crate::support::OneBox;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_is_made_listed_and_revoked() {
    let site = OneBox::new();
    let link = site.link.clone().unwrap();
    site.succeed(&["device", "new", "--link", &link]);
    let create = ["service-account", "create", "--name", "Dashboard", "--allow", "list-gateways"];
    let printed = site.succeed(&create);
    let token = printed.trim();
    assert!(token.starts_with("lkst_") && token.len() == 69, "{printed}");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let port = site.viewer_port();
    let ask = async |path: &str| {
        let request = http.get(format!("http://localhost:{port}/api/v1/{path}")).bearer_auth(token);
        request.send().await.unwrap().status()
    };
    assert_eq!(ask("gateways").await, StatusCode::OK);
    assert_eq!(ask("cameras").await, StatusCode::NOT_FOUND);

    let listed = site.succeed(&["service-account", "list"]);
    assert!(
        listed.contains("Dashboard") && listed.contains("used 20") && !listed.contains("lkst_"),
        "{listed}"
    );
    let id = listed.split_whitespace().next().unwrap();
    assert_eq!(site.succeed(&["service-account", "revoke", id]).trim(), "revoked");
    assert_eq!(ask("gateways").await, StatusCode::UNAUTHORIZED);
    assert!(site.succeed(&["service-account", "list"]).contains("revoked 20"));
    assert!(site.fail(&["service-account", "create", "--name", "x"]).contains("--allow"));
}
