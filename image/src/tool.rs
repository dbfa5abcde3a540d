//! Running the reference tools: their output is kept for the error message, their absence names the package to install.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};

use crate::error::{At as _, Error, Result};
use crate::progress::Counter;

/// Lines of a failed tool's output that are shown.
const TAIL_LINES: usize = 40;

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

    /// Runs to the end, everything it prints going to `log`, and counts for whoever waits the lines that `counts` names (it gets
    /// them without the space before them). A failure shows the last other lines.
    pub(crate) fn run_counting(
        mut self,
        unit: &'static str,
        counts: impl Fn(&str) -> bool,
        log: &Path,
    ) -> Result<()> {
        let mut file = File::create(log).at("creating", log)?;
        let (output, writer) = io::pipe().at("making a pipe for", Path::new(&self.name))?;
        let second = writer.try_clone().at("making a pipe for", Path::new(&self.name))?;
        let mut child = match self.command.stdout(writer).stderr(second).spawn() {
            Ok(child) => child,
            Err(error) => return Err(self.not_started(error)),
        };
        // The command holds the writing ends; while they are open the output has no end.
        drop(self.command);
        let mut counter = Counter::new(unit);
        let mut tail = VecDeque::new();
        for line in BufReader::new(output).split(b'\n') {
            let line = line.at("reading the output of", Path::new(&self.name))?;
            file.write_all(&line).and_then(|()| file.write_all(b"\n")).at("writing", log)?;
            let line = String::from_utf8_lossy(&line);
            if counts(line.trim_start()) {
                counter.add_one();
            } else {
                tail.push_back(line.into_owned());
                if tail.len() > TAIL_LINES {
                    tail.pop_front();
                }
            }
        }
        drop(counter);
        let status = child.wait().at("waiting for", Path::new(&self.name))?;
        if status.success() {
            return Ok(());
        }
        let name = format!("{} (log: {})", self.name, log.display());
        Err(failed(name, status, &Vec::from(tail).join("\n")))
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

    fn not_started(self, source: io::Error) -> Error {
        let (tool, package) = (self.name, self.package);
        match source.kind() {
            io::ErrorKind::NotFound => Error::NotInstalled { tool, package },
            _ => Error::Io { doing: "starting", path: tool.into(), source },
        }
    }
}

/// The error for a tool that did not succeed, with the end of what it printed.
fn failed(tool: String, status: ExitStatus, output: &str) -> Error {
    let lines: Vec<_> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    Error::Tool { tool, status: status.to_string(), tail }
}
