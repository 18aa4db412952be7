//! Names the folder of the web app for `http::page`, which embeds it. Where
//! the app was not built, a page that says how takes its place, so that the
//! server builds and starts without Node.

use std::path::{Path, PathBuf};

const PLACEHOLDER: &str = "<!doctype html>
<html lang=\"en\">
  <head><meta charset=\"utf-8\" /><title>Lenskeep</title></head>
  <body>
    <h1>The web app is not in this build</h1>
    <p>Build it with <code>npm ci && npm run build</code> in <code>web/</code>, then build the server again;
    <code>cargo xtask up</code> does both. The API and the command line work without it.</p>
  </body>
</html>
";

fn main() -> std::io::Result<()> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).expect("cargo sets it");
    let dist = variable("CARGO_MANIFEST_DIR").join("../../web/dist");
    // Cargo takes a path that is not there for one that changes at every build.
    std::fs::create_dir_all(&dist)?;
    println!("cargo::rerun-if-changed={}", dist.display());
    let folder = if dist.join("index.html").exists() { dist } else { placeholder(&variable("OUT_DIR"))? };
    println!("cargo::rustc-env=LENSKEEP_WEB_DIST={}", folder.display());
    Ok(())
}

fn placeholder(out: &Path) -> std::io::Result<PathBuf> {
    let folder = out.join("placeholder");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("index.html"), PLACEHOLDER)?;
    Ok(folder)
}
