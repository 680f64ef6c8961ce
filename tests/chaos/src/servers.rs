//! Kafka and PostgreSQL of a run: started by the scripts of `.ci`, then killed, stopped and started again from here.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Transactions that outlive their timeout are to be ended soon: by default the broker looks every ten seconds. Its session with
/// the controller (9 s) is shortened with it: a lone broker that was killed has no leader for its partitions when the session of
/// its former life ends, and Kafka 4.3.1 skips the markers of a transaction that it ends at that moment, as if those partitions
/// had been deleted. With the first look after the session, as by default, that does not happen.
const BROKER: &str = "transaction.abort.timed.out.transaction.cleanup.interval.ms=5000
broker.session.timeout.ms=2500
broker.heartbeat.interval.ms=500
";

/// A server's process, and how it was started.
#[derive(Debug)]
pub struct Server {
    pub address: String,
    pid: Pid,
    /// Where it was started from here; the first start is a script's.
    child: Option<Child>,
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    user: u32,
    log: PathBuf,
}

/// The servers that are there.
#[derive(Debug, Default)]
pub struct Servers {
    pub kafka: Option<Server>,
    pub postgres: Option<Server>,
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.ci").join(name)
}

/// Downloads of the scripts are kept here, as in CI.
fn cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("WHARF_CI_CACHE").unwrap_or_else(|| {
        let base = set("XDG_CACHE_HOME").unwrap_or_else(|| set("HOME").unwrap_or_default().join(".cache"));
        base.join("wharf-ci")
    })
}

/// Starts a broker. The error says in one line why there is none.
pub fn start_kafka(folder: &Path) -> Result<Server> {
    if Command::new("java").arg("-version").stderr(Stdio::null()).status().is_err() {
        bail!("java is not installed");
    }
    let run = folder.join("kafka");
    let mut command = Command::new(script("kafka.sh"));
    command.arg(cache()).arg(&run).env("WHARF_KAFKA_EXTRA", BROKER);
    let address = output(command)?;
    Server::find(address, &run.join("broker.pid"), &run.join("broker.log"))
}

/// Starts PostgreSQL where it is installed.
pub fn start_postgres(folder: &Path) -> Result<Server> {
    let found = Path::new("/usr/lib/postgresql").exists()
        || Command::new("initdb").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if !found {
        bail!("PostgreSQL is not installed");
    }
    let run = folder.join("postgres");
    let mut command = Command::new(script("postgres.sh"));
    command.arg(&run);
    let address = output(command)?;
    Server::find(address, &run.join("pid"), &run.join("log"))
}

/// The one line that a script prints.
fn output(mut command: Command) -> Result<String> {
    let done = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    if !done.status.success() {
        let text = String::from_utf8_lossy(&done.stderr).into_owned();
        bail!("{}: {}", command.get_program().display(), text.lines().last().unwrap_or("it failed"));
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

impl Server {
    /// Learns from `/proc` how the script has started it, to start it again in the same way.
    fn find(address: String, pid_file: &Path, log: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(pid_file).with_context(|| pid_file.display().to_string())?;
        let pid: i32 = text.lines().next().unwrap_or_default().trim().parse().context("a process id")?;
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let line = std::fs::read(proc.join("cmdline")).context("the command line of a server")?;
        let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        Ok(Self {
            address,
            pid: Pid::from_raw(pid).context("a process id")?,
            child: None,
            program: std::fs::read_link(proc.join("exe")).context("the program of a server")?,
            arguments: words.skip(1).map(|word| String::from_utf8_lossy(word).into_owned()).collect(),
            folder: std::fs::read_link(proc.join("cwd")).context("the folder of a server")?,
            user: std::fs::metadata(&proc).context("the user of a server")?.uid(),
            log: log.to_owned(),
        })
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid, signal).with_context(|| format!("signalling {}", self.program.display()))
    }

    /// kill -9, and waits until it is gone.
    pub async fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        while is_running(self.pid) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Starts it again, on the same ports with the same data. It answers some time later.
    pub async fn start(&mut self) -> Result<()> {
        // What a killed server leaves behind may take a moment to go.
        for _ in 0..50 {
            let log = std::fs::OpenOptions::new().append(true).open(&self.log)?;
            let mut command = Command::new(&self.program);
            command.args(&self.arguments).current_dir(&self.folder).stdin(Stdio::null());
            command.stdout(log.try_clone()?).stderr(log);
            if self.user != rustix::process::getuid().as_raw() {
                command.uid(self.user);
            }
            let mut child = command.spawn().with_context(|| self.program.display().to_string())?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            if child.try_wait()?.is_none() {
                self.pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process id")?;
                self.child = Some(child);
                return Ok(());
            }
        }
        bail!("{} does not start again: see {}", self.program.display(), self.log.display())
    }
}

fn is_running(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.signal(Signal::KILL) {
            eprintln!("a server could not be ended: {error:#}");
        }
        if let Some(Err(error)) = self.child.take().map(|mut child| child.wait()) {
            eprintln!("a server could not be waited for: {error}");
        }
    }
}
