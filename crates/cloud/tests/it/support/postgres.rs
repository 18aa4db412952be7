//! A PostgreSQL server of the test's own, on a socket in a temporary folder.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// `nobody` on Debian: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;

pub(crate) struct Postgres {
    folder: TempDir,
    pg_ctl: PathBuf,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let folder = owned("lk-pg-");
        let pg_ctl = program("pg_ctl");
        let data = folder.path().join("data");
        run(command(Path::new("cp")).args(["-a", "--reflink=auto"]).arg(template()).arg(&data));
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c fsync=off -c shared_buffers=16MB",
            folder.path().display()
        );
        let log = folder.path().join("log");
        run(command(&pg_ctl)
            .args(["start", "--wait", "-D"])
            .arg(&data)
            .arg("-l")
            .arg(&log)
            .arg("-o")
            .arg(&options));
        Postgres { folder, pg_ctl }
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://lenskeep@localhost/postgres?host={}", self.folder.path().display())
    }
}

/// A cluster that nothing has happened to, of this version: making one takes
/// longer than most tests, and copying it a tenth of that.
fn template() -> PathBuf {
    let initdb = program("initdb");
    let version = Command::new(&initdb).arg("--version").output().expect("it was found").stdout;
    let version: String = String::from_utf8_lossy(&version)
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '.')
        .collect();
    let owner = if is_root() { "nobody" } else { "own" };
    let place = std::env::temp_dir().join(format!("lk-postgres-template-{version}-{owner}"));
    if !place.join("PG_VERSION").exists() {
        let folder = owned("lk-pg-template-");
        let data = folder.path().join("data");
        run(command(&initdb)
            .args(["--username=lenskeep", "--auth=trust", "--no-sync", "--encoding=UTF8", "-D"])
            .arg(&data));
        // Another test may have been first, which is as good.
        let _ = std::fs::rename(&data, &place);
    }
    place
}

/// A folder of whoever runs the server.
fn owned(prefix: &str) -> TempDir {
    let folder = TempDir::with_prefix(prefix).unwrap();
    if is_root() {
        std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    folder
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.folder.path().join("data");
        run(command(&self.pg_ctl).args(["stop", "--mode=immediate", "-D"]).arg(&data));
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn run(command: &mut Command) {
    let status = command.status().expect("it was found");
    assert!(status.success(), "{command:?}: {status}");
}

/// On the path, or where Debian puts it.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = std::env::split_paths(&path).chain(debian.map(|version| version.path().join("bin")));
    folders.map(|folder| folder.join(name)).find(|candidate| candidate.exists()).unwrap_or_else(|| {
        panic!("{name} is not on this machine: install PostgreSQL (Debian: apt-get install postgresql)")
    })
}
