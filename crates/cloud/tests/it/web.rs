//! The viewers' port as a browser and its enemies see it.

use std::collections::BTreeSet;

use cloud::{Port, Who};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Gateway, World};

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_the_policies() {
    let world = World::on_sqlite().await;
    for path in ["/", "/cameras/x", "/api/v1/status", "/api/v1/me", "/assets/none.js", "/api/v1/none"] {
        let response = world.anyone().request(Method::GET, path).send().await.unwrap();
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self';",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types svelte-trusted-html lenskeep-worker",
        ] {
            assert!(policy.contains(part), "{path}: {part}");
        }
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(response.headers()["referrer-policy"], "no-referrer", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_answers_to_every_address_but_the_apis() {
    let world = World::on_sqlite().await;
    let at = async |path: &str| {
        let response = world.anyone().request(Method::GET, path).send().await.unwrap();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        (response.status(), kind.split(';').next().unwrap().to_owned())
    };
    for page in ["/", "/setup", "/cameras/cam_0/live", "/index.html"] {
        assert_eq!(at(page).await, (StatusCode::OK, "text/html".to_owned()), "{page}");
    }
    for none in
        ["/api/v1/none", "/api", "/api/v2/status", "/assets/none.js", "/gateway/v1/roster", "/store/v1/a/b"]
    {
        let (status, kind) = at(none).await;
        let expected = if none == "/api" { "text/html" } else { "application/json" };
        assert_eq!(kind, expected, "{none}");
        assert!(none == "/api" || status == StatusCode::NOT_FOUND, "{none}");
    }
    for climbing in ["/..%2f..%2fCargo.toml", "/%2e%2e/%2e%2e/etc/passwd"] {
        assert_eq!(at(climbing).await.1, "text/html", "{climbing}: the page, no file");
    }
}

/// Every page, and every read of the API, with what elsewhere leads to a redirect.
#[tokio::test(flavor = "multi_thread")]
async fn no_parameter_leads_to_another_site() {
    let world = World::on_sqlite().await;
    let organisation = world.found().await;
    let evil = ["https://evil.example", "//evil.example", "/\\evil.example", "/%2f/evil.example"];
    let paths =
        cloud::routes().into_iter().filter(|route| route.port == Port::Viewers && route.method == "GET");
    let mut paths: BTreeSet<String> = paths.map(|route| route.path.replace(['{', '}'], "")).collect();
    paths.extend(
        ["/sign-in/corp", "/join", "/device", "/setup", "//evil.example/", "/\\evil.example"]
            .map(str::to_owned),
    );
    for path in &paths {
        for target in evil {
            let names = ["next", "return_to", "redirect_uri", "redirect", "url", "state", "iss"];
            let query = names.map(|name| format!("{name}={target}")).join("&");
            let path = format!("{path}?{query}");
            let answer = organisation.api(&world).request(Method::GET, &path).send().await.unwrap();
            assert!(!answer.status().is_redirection(), "{path}: {}", answer.status());
            assert!(!answer.headers().contains_key("location"), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_cannot_act_for_a_person() {
    let world = World::on_sqlite().await;
    let organisation = world.found().await;
    let api = organisation.api(&world);
    let logout = || api.request(Method::POST, "/api/v1/logout");
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status();
    let form = logout().header("content-type", "application/x-www-form-urlencoded").body("a=b");
    assert_eq!(status(form).await, StatusCode::FORBIDDEN, "a form has no X-Lenskeep");
    let foreign = logout().header("x-lenskeep", "1").header("origin", "https://evil.example");
    assert_eq!(status(foreign).await, StatusCode::FORBIDDEN, "a script of another site");
    let null = logout().header("x-lenskeep", "1").header("origin", "null");
    assert_eq!(status(null).await, StatusCode::FORBIDDEN, "a sandboxed frame");
    let rebound = api.request(Method::GET, "/api/v1/me").header("host", "evil.example");
    assert_eq!(status(rebound).await, StatusCode::MISDIRECTED_REQUEST, "a name that was made to point here");
    let twice = api.request(Method::GET, "/api/v1/me").header("cookie", organisation.admin.cookie.as_str());
    assert_eq!(status(twice).await, StatusCode::UNAUTHORIZED, "two cookies are none");
    assert_eq!(api.get("/api/v1/me").await.status, StatusCode::OK, "the session is as it was");
    let own = logout().header("x-lenskeep", "1").header("origin", world.origin());
    assert_eq!(status(own).await, StatusCode::NO_CONTENT);
}

/// The table is what the router is made of; here every row of it is called
/// without what it demands.
#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_whoever_may_not_call_it() {
    let world = World::on_sqlite().await;
    let stranger = Gateway::new(&world);
    let id = "0".repeat(64);
    for route in cloud::routes() {
        let parts = route.path.split('/').map(|part| if part.starts_with('{') { id.as_str() } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        let method: Method = route.method.parse().unwrap();
        let base = match route.port {
            Port::Viewers => world.origin(),
            Port::Gateways => stranger.base.clone(),
            Port::Metrics => format!("http://{}", world.running.metrics_addr),
        };
        let request = stranger.client.request(method.clone(), format!("{base}{path}"));
        let request = if route.port == Port::Gateways {
            request
        } else {
            world.client.request(method.clone(), format!("{base}{path}"))
        };
        let response = request.header("x-lenskeep", "1").json(&json!({})).send().await.unwrap();
        let status = response.status();
        let expected: &[u16] = match route.who {
            Who::Session
            | Who::Ticket
            | Who::Reader
            | Who::Administrator
            | Who::Gateway
            | Who::Provisioner => &[401],
            // The body is not even of the right shape; a token decides next.
            Who::Token | Who::SessionOrToken | Who::SignIn => &[200, 401, 422],
            // A link's id comes before what its holder shows.
            Who::Link => &[404],
            // Whether there was something to end it tells nobody.
            Who::Mail => &[204],
            Who::SignedUrl => &[403],
            // What is no checkpoint.
            Who::Log => &[400],
            Who::Anyone => &[200, 404],
        };
        assert!(expected.contains(&status.as_u16()), "{} {}: {status}", route.method, route.path);
    }
}

/// Every row of the viewers' API is described, and nothing else is.
#[test]
fn the_api_document_and_the_table_agree() {
    let document: Value = serde_json::from_str(&cloud::openapi()).unwrap();
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let rows: BTreeSet<(String, String)> = cloud::routes()
        .into_iter()
        .filter(|route| route.port == Port::Viewers && route.path.starts_with("/api/"))
        // OpenAPI has no word for the rest of a path.
        .map(|route| (route.method.to_owned(), route.path.replace("{*", "{")))
        .collect();
    assert_eq!(described, rows);
}

#[test]
fn the_committed_api_document_is_current() {
    let committed =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json")).unwrap();
    assert!(committed == cloud::openapi(), "run: lenskeep-cloud openapi > docs/openapi.json");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_on_a_port_of_its_own() {
    let world = World::on_sqlite().await;
    let base = format!("http://{}", world.running.metrics_addr);
    for path in ["/healthz", "/readyz"] {
        let response = world.client.get(format!("{base}{path}")).send().await.unwrap();
        assert_eq!(
            (response.status(), response.text().await.unwrap().as_str()),
            (StatusCode::OK, "ok\n"),
            "{path}"
        );
    }
    let metrics = world.client.get(format!("{base}/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("lenskeep_cloud_requests_total"));
    let page = world.anyone().request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(!page.contains("lenskeep_cloud_requests_total"), "not on the viewers' port");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_viewers_port_speaks_tls_where_it_has_a_certificate() {
    let folder = tempfile::TempDir::new().unwrap();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&certificate, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let world = World::with(None, |config| {
        config.listen.tls_certificate = Some(certificate);
        config.listen.tls_key = Some(key);
    })
    .await;
    assert_eq!(world.running.public_url.scheme(), "https");
    let trusted = reqwest::Certificate::from_pem(own.cert.pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap();
    let page = client.get(world.running.public_url.clone()).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.headers().contains_key("strict-transport-security"));
    assert!(
        client.get(format!("http://{}", world.running.viewer_addr)).send().await.is_err(),
        "and nothing else"
    );
}

/// Looking at a configuration changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_reads_and_does_not_write() {
    let folder = tempfile::TempDir::new().unwrap();
    let config = cloud::Config { data: folder.path().join("none"), ..cloud::Config::default() };
    let error = cloud::check(&config).await.unwrap_err();
    assert!(format!("{error:#}").contains("SQLite"), "{error:#}");
    assert!(!config.data.exists());
    cloud::migrate(&config).await.unwrap();
    cloud::check(&config).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_ends_what_is_open() {
    let world = World::on_sqlite().await;
    let organisation = world.found().await;
    let address = world.running.viewer_addr;
    // An idle connection, and one that is kept alive.
    let _idle = tokio::net::TcpStream::connect(address).await.unwrap();
    organisation.api(&world).get("/api/v1/me").await;
    let begun = std::time::Instant::now();
    world.running.shutdown().await;
    assert!(begun.elapsed() < std::time::Duration::from_secs(8));
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
