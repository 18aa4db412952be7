//! Other programs: started, measured and ended.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::tasks::run;

/// `_SC_CLK_TCK` of Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Ends its program when dropped.
pub(super) struct Program(pub(super) Child);

impl Drop for Program {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(None)) {
            return;
        }
        let pid = self.0.id().to_string();
        // SIGTERM: recordings are closed.
        let _ = Command::new("kill").arg(&pid).status();
        let _ = self.0.wait();
    }
}

impl Program {
    pub(super) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let name = format!("{command:?}");
        Ok(Program(command.spawn().with_context(|| format!("{name} could not be started"))?))
    }

    /// Processor time so far, user and system, in seconds (proc(5), fields 14 and 15).
    pub(super) fn cpu(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        let after_name = stat.rsplit_once(')').context("/proc stat")?.1;
        let field =
            |number: usize| after_name.split_whitespace().nth(number - 3).and_then(|f| f.parse::<f64>().ok());
        Ok((field(14).context("utime")? + field(15).context("stime")?) / TICKS_PER_SECOND)
    }

    pub(super) fn memory_mib(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.split_whitespace().next().context("VmRSS")?.parse::<u64>()? / 1_024)
    }
}

pub(super) fn run_quietly(command: &mut Command) -> anyhow::Result<()> {
    run(command.stdout(Stdio::null()))
}

pub(super) fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{command:?} failed");
    Ok(String::from_utf8(output.stdout)?)
}

/// Reads on until a line holds `mark`.
pub(super) fn first_line(child: &mut Child, mark: &str) -> anyhow::Result<String> {
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let found = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(mark)));
    // The program may go on to write; nobody reads it.
    std::thread::spawn(move || lines.for_each(drop));
    found.with_context(|| format!("it ended without a line with {mark}"))?.map_err(Into::into)
}

/// A number of a flat JSON object.
pub(super) fn figure(json: &str, key: &str) -> anyhow::Result<f64> {
    let rest = json.split(&format!("\"{key}\":")).nth(1).with_context(|| format!("no {key} in {json}"))?;
    Ok(rest.split([',', '}']).next().unwrap_or_default().trim().parse()?)
}
