//! Sealed pictures that go with notices. New ones push out the oldest: of their
//! gateway, and of all.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use model::wire::SealedStill;
use model::{GatewayId, Hash, OrgId, Timestamp};

use super::{Database, params};

/// Of one gateway, for the day that they are kept.
pub(crate) const STILLS_OF_GATEWAY_MAX: u64 = 128;
/// Of all: 500 MB if each has its most, and a tenth of that as cameras make them.
const STILLS_MAX: u64 = 2_048;

impl Database {
    /// What is there already stays as it is.
    pub(crate) async fn add_still(
        &self,
        (org, gateway): (OrgId, GatewayId),
        still: &SealedStill,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let mut transaction = self.begin().await?;
        let sql = "INSERT INTO stills (id, org, gateway, camera, made_at, still) \
                   VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING";
        let text = BASE64_STANDARD.encode(&still.still.0);
        let values = params![still.id, org, gateway, still.camera, now, text];
        transaction.execute(sql, values).await?;
        let sql = "DELETE FROM stills WHERE org = $1 AND gateway = $2 AND id NOT IN \
                   (SELECT id FROM stills WHERE org = $1 AND gateway = $2 ORDER BY made_at DESC, id LIMIT $3)";
        transaction.execute(sql, params![org, gateway, STILLS_OF_GATEWAY_MAX]).await?;
        let sql = "DELETE FROM stills WHERE made_at < \
                   (SELECT made_at FROM stills ORDER BY made_at DESC LIMIT 1 OFFSET $1)";
        transaction.execute(sql, params![STILLS_MAX]).await?;
        transaction.commit().await
    }

    /// One that was made after `since`.
    pub(crate) async fn still(&self, id: Hash, since: Timestamp) -> sqlx::Result<Option<Vec<u8>>> {
        let sql = "SELECT still FROM stills WHERE id = $1 AND made_at > $2";
        let Some(row) = self.optional(sql, params![id, since]).await? else { return Ok(None) };
        let bytes = BASE64_STANDARD.decode(row.text(0)?);
        bytes.map(Some).map_err(|error| sqlx::Error::Decode(error.into()))
    }

    pub(crate) async fn purge_stills(&self, before: Timestamp) -> sqlx::Result<()> {
        self.execute("DELETE FROM stills WHERE made_at <= $1", params![before]).await.map(drop)
    }
}
