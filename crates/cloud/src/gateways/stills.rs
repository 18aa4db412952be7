//! Pictures that go with notices, on their way to a person's device. Sealed, and
//! kept for a day.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use model::wire::SealedStill;
use seal::still::STILL_SEALED_BYTES_MAX;

use crate::app::App;
use crate::clock;
use crate::http::extract::Json;
use crate::http::guard::GatewayCaller;
use crate::problem::Problem;
use crate::rate::{Key, Rate};

/// Pictures of one gateway: more than it takes of the events that it tells.
const EACH: Rate = Rate { burst: 32, refill_ms: 2_000 };

pub(crate) async fn store(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<GatewayCaller>,
    Json(still): Json<SealedStill>,
) -> Result<Json<serde_json::Value>, Problem> {
    if still.still.0.len() > STILL_SEALED_BYTES_MAX {
        return Err(Problem::invalid(format!("A still has at most {STILL_SEALED_BYTES_MAX} bytes.")));
    }
    if caller.roster.camera(still.camera).is_none_or(|camera| camera.gateway != caller.gateway) {
        return Err(Problem::not_found());
    }
    let now = clock::now();
    if !app.limiter.allow(Key::Account(format!("stills {}", caller.gateway)), EACH, now) {
        return Err(Problem::too_many());
    }
    app.database.add_still((caller.org, caller.gateway), &still, now).await?;
    Ok(Json(serde_json::json!({})))
}
