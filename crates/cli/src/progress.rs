//! How far a long look through files has come, on a terminal, and Ctrl-C, which ends
//! it with what was found until then.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Of inputs before this one, in bytes.
    before: u64,
    found: u64,
    is_stopped: Arc<AtomicBool>,
}

impl Progress {
    /// `bytes`: all there is to read, if that is known.
    pub(crate) fn of(bytes: Option<u64>) -> anyhow::Result<Self> {
        let (bar, template) = match bytes {
            Some(bytes) => (
                ProgressBar::new(bytes),
                "{bar:30} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left; {msg} found",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{spinner} {binary_bytes} read, {binary_bytes_per_sec}; {msg} found",
            ),
        };
        bar.set_style(ProgressStyle::with_template(template)?);
        bar.set_message("0");
        bar.enable_steady_tick(Duration::from_millis(200));
        let is_stopped = Arc::new(AtomicBool::new(false));
        stop_on_interrupt(is_stopped.clone())?;
        Ok(Progress { bar, before: 0, found: 0, is_stopped })
    }

    /// So much of this input is read. Breaks once somebody pressed Ctrl-C.
    pub(crate) fn read(&self, bytes: u64) -> ControlFlow<()> {
        self.bar.set_position(self.before + bytes);
        self.go_on()
    }

    pub(crate) fn go_on(&self) -> ControlFlow<()> {
        match self.is_stopped() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// An input of so many bytes is done.
    pub(crate) fn done(&mut self, bytes: u64) {
        self.before += bytes;
    }

    pub(crate) fn found(&mut self, more: u64) {
        self.found += more;
        self.bar.set_message(self.found.to_string());
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Says something while it goes on.
    pub(crate) fn say(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }

    /// What says whether somebody pressed Ctrl-C.
    pub(crate) fn stop(&self) -> Stop {
        Stop(self.is_stopped.clone())
    }

    /// Makes room for what is printed now.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// Whether somebody pressed Ctrl-C.
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The first Ctrl-C ends the work in good order; the second one ends the program.
fn stop_on_interrupt(is_stopped: Arc<AtomicBool>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    std::thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
        let waited = runtime.block_on(async {
            tokio::signal::ctrl_c().await?;
            is_stopped.store(true, Ordering::Relaxed);
            tokio::signal::ctrl_c().await
        });
        if waited.is_ok() {
            std::process::exit(130);
        }
    })?;
    Ok(())
}
