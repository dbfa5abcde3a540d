//! Running the reference tools: their output is kept for the error message, their absence names the package to install.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};

use crate::error::{Error, Result};

/// Lines of a failed tool's output that are shown.
const TAIL_LINES: usize = 25;

pub(crate) struct Tool {
    command: Command,
    name: String,
    package: &'static str,
}

impl Tool {
    /// `package` is Debian's name of what has to be installed when `program` is not there.
    pub(crate) fn new(program: impl AsRef<OsStr>, package: &'static str) -> Self {
        let name = Path::new(&program).file_name().unwrap_or(program.as_ref());
        let name = name.to_string_lossy().into_owned();
        let mut command = Command::new(program);
        // Messages are parsed and times end up in images: neither may depend on who builds where.
        command.env("LC_ALL", "C").env("TZ", "UTC").stdin(Stdio::null());
        Tool { command, name, package }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    pub(crate) fn without_env(mut self, key: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(key);
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Every time stamp that the tool writes: seconds since 1970.
    pub(crate) fn dated(self, epoch: u64) -> Self {
        self.env("SOURCE_DATE_EPOCH", epoch.to_string())
    }

    /// The command itself, for callers that follow its output.
    pub(crate) fn into_command(self) -> Command {
        self.command
    }

    /// Runs to the end; what it printed, when it succeeded.
    pub(crate) fn run(self) -> Result<String> {
        let (name, output) = self.output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let both = [output.stdout, output.stderr].concat();
        Err(failed(name, output.status, &String::from_utf8_lossy(&both)))
    }

    /// Whether it ran and succeeded; a missing tool is an error, a failure is not.
    pub(crate) fn succeeds(self) -> Result<bool> {
        Ok(self.output()?.1.status.success())
    }

    fn output(mut self) -> Result<(String, Output)> {
        match self.command.output() {
            Ok(output) => Ok((self.name, output)),
            Err(error) => Err(self.not_started(error)),
        }
    }

    pub(crate) fn not_started(self, source: io::Error) -> Error {
        let (tool, package) = (self.name, self.package);
        match source.kind() {
            io::ErrorKind::NotFound => Error::NotInstalled { tool, package },
            _ => Error::Io { doing: "starting", path: tool.into(), source },
        }
    }
}

/// The error for a tool that did not succeed, with the end of what it printed.
pub(crate) fn failed(tool: String, status: ExitStatus, output: &str) -> Error {
    let lines: Vec<_> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    Error::Tool { tool, status: status.to_string(), tail }
}
