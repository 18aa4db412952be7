//! The 24-hour transport certificate, against a challenge that the gateway's
//! identity key signs. The key comes from the roster.

use std::sync::Arc;

use axum::extract::State;
use model::Timestamp;
use model::wire::{CertificateAnswer, CertificateRequest, ChallengeAnswer, ChallengeRequest};
use seal::keys::VerifyingKey;
use seal::login::GatewayCertificate;

use crate::app::App;
use crate::http::extract::Json;
use crate::http::guard::gateway_in_force;
use crate::problem::Problem;
use crate::{clock, random};

const CHALLENGE_MS: u64 = Timestamp::MINUTE;
const KIND: &str = "gateway-certificate";

/// Answers for every id, known or not.
pub(crate) async fn challenge(
    State(app): State<Arc<App>>,
    Json(body): Json<ChallengeRequest>,
) -> Result<Json<ChallengeAnswer>, Problem> {
    let (now, challenge) = (clock::now(), random::token());
    let gateway = body.gateway.to_string();
    app.database.add_ceremony(challenge, KIND, &gateway, now.plus_ms(CHALLENGE_MS), now).await?;
    Ok(Json(ChallengeAnswer { challenge }))
}

pub(crate) async fn issue(
    State(app): State<Arc<App>>,
    Json(body): Json<CertificateRequest>,
) -> Result<Json<CertificateAnswer>, Problem> {
    let now = clock::now();
    let claimed = GatewayCertificate::claimed(&body.envelope).map_err(|_| Problem::certificate())?;
    let challenged = app.database.take_ceremony(claimed.challenge, KIND, now).await?;
    if challenged != Some(claimed.gateway.to_string()) {
        return Err(Problem::certificate());
    }
    let caller = gateway_in_force(&app, claimed.gateway).await?;
    let keys = caller.roster.gateway(claimed.gateway).ok_or_else(Problem::certificate)?;
    let key = VerifyingKey::from_bytes(&keys.sign.0).map_err(|_| Problem::certificate())?;
    if claimed.org != caller.org || claimed.verify(&body.envelope, key).is_err() {
        return Err(Problem::certificate());
    }
    let certified = app.ca.certify_gateway(claimed.gateway, &claimed.csr, now);
    let (certificate, expires_at) = certified
        .map_err(|error| Problem::invalid(format!("The certificate request is not usable: {error:#}.")))?;
    app.database.set_certificate(caller.org, claimed.gateway, expires_at).await?;
    tracing::info!(gateway = %claimed.gateway, "transport certificate issued");
    Ok(Json(CertificateAnswer { certificate, ca: app.ca.pem().to_owned(), expires_at }))
}
