//! Walls: cameras side by side, as people arranged them for themselves or for
//! everybody. A wall opens nothing: whoever looks at a shared one is shown the
//! cameras that they may see, and told how many there are besides.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::Action;
use model::{CameraId, PersonId, Timestamp, WallId};
use seal::roster::Roster;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::cameras::visible;
use super::extract::{Json, Path};
use super::types::NAME_MAX;
use crate::app::App;
use crate::clock;
use crate::database::{Arrangement, Arranger, Tile, WallRow};
use crate::permits::is_administrator;
use crate::problem::Problem;
use crate::services::Asker;
use crate::sessions::Caller;

/// That one person may keep.
const WALLS_MAX: u64 = 50;
/// Shown to one person, their own and those that others share.
const LISTED_MAX: u64 = 500;
const TILES_MAX: usize = 64;
const COLUMNS_MAX: u32 = 12;
const ROWS_MAX: u32 = 64;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Walls {
    /// Their own first, then those of others; each by name.
    walls: Vec<Wall>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Wall {
    #[schema(value_type = String)]
    id: WallId,
    name: String,
    /// Whether everybody in the organisation sees it.
    shared: bool,
    /// Who saved it; null once that person was erased.
    #[schema(value_type = Option<String>)]
    person: Option<PersonId>,
    /// Whether who asks may change it.
    changeable: bool,
    columns: u32,
    tiles: Vec<Tile>,
    /// Tiles of cameras that who asks may not see.
    hidden: usize,
    /// For `PUT`.
    revision: u64,
    #[schema(value_type = u64)]
    changed_at: Timestamp,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWall {
    name: String,
    shared: bool,
    columns: u32,
    tiles: Vec<Tile>,
    /// Of the wall that this replaces; 0 makes a new one.
    revision: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Saved {
    revision: u64,
}

#[utoipa::path(get, path = "/api/v1/walls", responses((status = 200, body = Walls)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Walls>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let arranger = arranger(&caller, &roster, now);
    let rows = app.database.walls(caller.org, caller.person, LISTED_MAX).await?;
    let seen = seen(&app, &caller, &roster, now).await?;
    let listing = |row: WallRow| {
        let changeable = arranger.may_change(&row);
        let WallRow { wall, person, name, shared, arrangement, revision, changed_at } = row;
        let Arrangement { columns, mut tiles } = arrangement;
        let all = tiles.len();
        tiles.retain(|tile| seen.contains(&tile.camera));
        let hidden = all - tiles.len();
        Wall { id: wall, name, shared, person, changeable, columns, tiles, hidden, revision, changed_at }
    };
    Ok(Json(Walls { walls: rows.into_iter().map(listing).collect() }))
}

async fn seen(
    app: &App,
    caller: &Caller,
    roster: &Roster,
    now: Timestamp,
) -> Result<BTreeSet<CameraId>, Problem> {
    let visible = visible(app, &Asker::Person(*caller), roster, now).await?;
    Ok(visible.into_iter().map(|(camera, _)| camera.id).collect())
}

#[utoipa::path(put, path = "/api/v1/walls/{id}", params(("id" = String, Path, description = "`wall_` and 32 hex digits, drawn by who asks")),
    request_body = NewWall,
    responses((status = 200, body = Saved),
              (status = 403, description = "`not_yours`: somebody else shares it"), (status = 404),
              (status = 409, description = "`wall_moved`: it was changed meanwhile; `too_many_walls`"),
              (status = 422, description = "the message names the tile")))]
pub(crate) async fn save(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(wall): Path<WallId>,
    Json(body): Json<NewWall>,
) -> Result<Json<Saved>, Problem> {
    let now = clock::now();
    let name = body.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(Problem::invalid(format!("A wall's name has 1 to {NAME_MAX} printable characters.")));
    }
    let NewWall { shared, columns, tiles, revision, .. } = body;
    let mut arrangement = Arrangement { columns, tiles };
    let roster = app.roster(caller.org, now).await?;
    let seen = seen(&app, &caller, &roster, now).await?;
    check(&arrangement, &seen)?;
    let row = |arrangement| {
        let person = Some(caller.person);
        WallRow { wall, person, name, shared, arrangement, revision: revision.max(1), changed_at: now }
    };
    if revision == 0 {
        if app.database.count_walls(caller.org, caller.person).await? >= WALLS_MAX {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "too_many_walls",
                format!("A person keeps {WALLS_MAX} walls at most."),
                "Remove one that you no longer use.",
            ));
        }
        let audited = app.permit(&caller, &roster, Action::ArrangeWall { wall }, now).await?;
        if !app.database.add_wall(caller.org, &row(arrangement), WALLS_MAX, &audited).await? {
            return Err(moved());
        }
        return Ok(Json(Saved { revision: 1 }));
    }
    let (arranger, before) = theirs(&app, &caller, &roster, wall, now).await?;
    if before.person != Some(caller.person) && !shared {
        return Err(not_yours("Somebody else shares this wall, who alone ends that."));
    }
    keep_hidden(&mut arrangement, &before.arrangement, &seen)?;
    let audited = app.permit(&caller, &roster, Action::ArrangeWall { wall }, now).await?;
    if !app.database.change_wall(caller.org, arranger, &row(arrangement), &audited).await? {
        return Err(moved());
    }
    Ok(Json(Saved { revision: revision + 1 }))
}

#[utoipa::path(delete, path = "/api/v1/walls/{id}", params(("id" = String, Path)),
    responses((status = 204), (status = 403, description = "`not_yours`: somebody else shares it"), (status = 404)))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(wall): Path<WallId>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let (arranger, _) = theirs(&app, &caller, &roster, wall, now).await?;
    let audited = app.permit(&caller, &roster, Action::ArrangeWall { wall }, now).await?;
    if !app.database.remove_wall(caller.org, arranger, wall, &audited).await? {
        return Err(Problem::not_found());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Whose change it is, and what there is, if the wall is theirs to change.
async fn theirs(
    app: &App,
    caller: &Caller,
    roster: &Roster,
    wall: WallId,
    now: Timestamp,
) -> Result<(Arranger, WallRow), Problem> {
    let arranger = arranger(caller, roster, now);
    let row = app.database.wall(caller.org, caller.person, wall).await?.ok_or_else(Problem::not_found)?;
    if !arranger.may_change(&row) {
        return Err(not_yours("Somebody else shares this wall."));
    }
    Ok((arranger, row))
}

/// An administrator who came with one factor arranges what is theirs alone.
fn arranger(caller: &Caller, roster: &Roster, now: Timestamp) -> Arranger {
    let two = caller.second_factor || caller.device.is_some();
    Arranger { person: caller.person, is_administrator: two && is_administrator(roster, caller.person, now) }
}

fn not_yours(message: &str) -> Problem {
    let remedy = "Save it under a name of your own, or ask an administrator to change it.";
    Problem::new(StatusCode::FORBIDDEN, "not_yours", message, remedy)
}

fn moved() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "wall_moved",
        "This wall was changed meanwhile.",
        "Look at it as it is now, and change it again.",
    )
}

/// Whether all tiles are of cameras that the person sees, each once, and stand
/// side by side.
fn check(arrangement: &Arrangement, seen: &BTreeSet<CameraId>) -> Result<(), Problem> {
    let Arrangement { columns, tiles } = arrangement;
    if !(1..=COLUMNS_MAX).contains(columns) {
        return Err(Problem::invalid(format!("A wall has 1 to {COLUMNS_MAX} columns.")));
    }
    if tiles.len() > TILES_MAX {
        return Err(Problem::invalid(format!("A wall has {TILES_MAX} tiles at most.")));
    }
    let within = |first: u32, length: u32, max: u32| {
        length >= 1 && first.checked_add(length).is_some_and(|end| end <= max)
    };
    for (number, tile) in tiles.iter().enumerate() {
        let Tile { camera, x, y, w, h } = *tile;
        let wrong = |what: &str| Err(Problem::invalid(format!("tiles[{number}] {what}")));
        if !seen.contains(&camera) {
            return wrong("is of a camera that you may not see, or that there is not.");
        }
        if !within(x, w, *columns) || !within(y, h, ROWS_MAX) {
            return wrong(&format!("reaches out of {columns} columns or {ROWS_MAX} rows."));
        }
        for (other, before) in tiles[..number].iter().enumerate() {
            if before.camera == camera {
                return wrong(&format!("is of the same camera as tiles[{other}]."));
            }
            if overlap(tile, before) {
                return wrong(&format!("lies over tiles[{other}]."));
            }
        }
    }
    Ok(())
}

/// What others see on the wall stays on it, whoever changes it: in its place, or
/// below all others if that is taken.
fn keep_hidden(
    arrangement: &mut Arrangement,
    before: &Arrangement,
    seen: &BTreeSet<CameraId>,
) -> Result<(), Problem> {
    let Arrangement { columns, tiles } = arrangement;
    for tile in before.tiles.iter().filter(|tile| !seen.contains(&tile.camera)) {
        let w = tile.w.min(*columns);
        let mut kept = Tile { w, x: tile.x.min(*columns - w), ..*tile };
        if tiles.iter().any(|other| overlap(other, &kept)) {
            kept.y = tiles.iter().map(|tile| tile.y + tile.h).max().unwrap_or(0);
        }
        if kept.y + kept.h > ROWS_MAX || tiles.len() == TILES_MAX {
            return Err(Problem::invalid(
                "There is no room left for the cameras of this wall that you may not see.",
            ));
        }
        tiles.push(kept);
    }
    Ok(())
}

fn overlap(a: &Tile, b: &Tile) -> bool {
    a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(n: u8) -> CameraId {
        CameraId::from_random([n; 16])
    }

    fn said(columns: u32, tiles: &[(u8, [u32; 4])]) -> String {
        let tile = |&(n, [x, y, w, h]): &(u8, [u32; 4])| Tile { camera: camera(n), x, y, w, h };
        let arrangement = Arrangement { columns, tiles: tiles.iter().map(tile).collect() };
        let seen = (1..100).map(camera).collect();
        check(&arrangement, &seen).err().map_or_else(String::new, |problem| problem.body.error.message)
    }

    #[test]
    fn what_somebody_may_not_see_stays_where_it_is_or_goes_below() {
        let tile = |n, [x, y, w, h]: [u32; 4]| Tile { camera: camera(n), x, y, w, h };
        let seen = BTreeSet::from([camera(1)]);
        let before = Arrangement {
            columns: 4,
            tiles: vec![tile(1, [0, 0, 1, 1]), tile(2, [1, 0, 1, 1]), tile(3, [2, 0, 2, 2])],
        };
        let keeping = |columns, mine: [u32; 4]| {
            let mut changed = Arrangement { columns, tiles: vec![tile(1, mine)] };
            keep_hidden(&mut changed, &before, &seen).map(|()| changed.tiles)
        };
        let kept = keeping(4, [0, 0, 1, 2]).unwrap();
        assert_eq!(kept[1..], [tile(2, [1, 0, 1, 1]), tile(3, [2, 0, 2, 2])]);
        let kept = keeping(2, [0, 0, 2, 2]).unwrap();
        assert_eq!(kept[1..], [tile(2, [1, 2, 1, 1]), tile(3, [0, 3, 2, 2])]);
        let full = keeping(2, [0, 0, 2, 64]).unwrap_err().body.error.message;
        assert!(full.contains("may not see"), "{full}");
    }

    #[test]
    fn tiles_stand_side_by_side_within_the_wall() {
        assert_eq!(said(4, &[]), "");
        assert_eq!(
            said(4, &[(1, [0, 0, 2, 2]), (2, [2, 0, 2, 1]), (3, [2, 1, 2, 1]), (4, [0, 2, 4, 62])]),
            ""
        );
        assert!(said(0, &[]).contains("1 to 12 columns"));
        assert!(said(13, &[]).contains("1 to 12 columns"));
        for tile in [
            [3, 0, 2, 1],
            [0, 0, 0, 1],
            [0, 0, 1, 0],
            [0, 63, 1, 2],
            [u32::MAX, 0, 1, 1],
            [0, 0, 1, u32::MAX],
        ] {
            assert!(said(4, &[(1, tile)]).starts_with("tiles[0] reaches out"), "{tile:?}");
        }
        assert_eq!(said(4, &[(1, [0, 0, 2, 2]), (2, [1, 1, 1, 1])]), "tiles[1] lies over tiles[0].");
        assert_eq!(
            said(4, &[(1, [0, 0, 1, 1]), (1, [1, 1, 1, 1])]),
            "tiles[1] is of the same camera as tiles[0]."
        );
        assert!(said(4, &[(100, [0, 0, 1, 1])]).starts_with("tiles[0] is of a camera that you may not see"));
        let many: Vec<_> = (1..=65).map(|n| (n, [u32::from(n % 12), u32::from(n / 12), 1, 1])).collect();
        assert_eq!(said(12, &many[..64]), "");
        assert!(said(12, &many).contains("64 tiles at most"));
    }
}
