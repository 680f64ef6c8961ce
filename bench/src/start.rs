//! Start of a worker to the first row in the target: `wharf run` on the embedded log, and on Kafka beside a bare client in turn.
//! A line is appended to a file that is followed, the process started, and the target asked every 2 ms.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};

pub mod bare;

/// The deployment that is started.
const WORKER: &str = include_str!("../worker.toml");
const LOOK: Duration = Duration::from_millis(2);
/// No row after this: something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);
/// A worker is left alone this long after its row, so that it has committed before it is told to stop.
const SETTLE: Duration = Duration::from_millis(500);

/// Which worker, on which log, how often.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The binary to measure; by default the one of `cargo build --release`
    #[arg(long)]
    wharf: Option<PathBuf>,
    /// `bootstrap.servers` of a Kafka; without it only the embedded log is measured
    #[arg(long, env = "WHARF_TEST_KAFKA")]
    kafka: Option<String>,
    /// Measured starts of each, after one to warm up
    #[arg(long, default_value_t = 10)]
    runs: usize,
}

/// # Errors
/// When a process does not start, or no row comes.
#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
pub fn run(options: &Options) -> Result<()> {
    let built = || std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from).join("release/wharf");
    let wharf = options.wharf.clone().unwrap_or_else(built);
    let wharf = fs::canonicalize(&wharf).with_context(|| format!("{} is not built", wharf.display()))?;
    let mut embedded = Place::new(None)?;
    let mut times = Vec::new();
    for _ in 0..=options.runs {
        times.push(embedded.start(&mut embedded.worker(&wharf))?);
    }
    println!("embedded log: {}", Figures::of(&times));
    let Some(kafka) = &options.kafka else {
        println!("Kafka was not measured: --kafka (or WHARF_TEST_KAFKA) names none");
        return Ok(());
    };
    let (mut ours, mut theirs) = (Place::new(Some(kafka))?, Place::new(Some(kafka))?);
    bare::prepare(kafka, &theirs.name)?;
    let this = std::env::current_exe()?;
    let (mut wharf_times, mut bare_times) = (Vec::new(), Vec::new());
    for _ in 0..=options.runs {
        wharf_times.push(ours.start(&mut ours.worker(&wharf))?);
        bare_times.push(theirs.start(theirs.bare(&this, kafka).current_dir(theirs.folder.path()))?);
    }
    let (wharf, bare) = (Figures::of(&wharf_times), Figures::of(&bare_times));
    println!("Kafka: {wharf}\nbare client: {bare}");
    println!("target: at most 150 ms above the bare client: {:.0} ms", wharf.median - bare.median);
    Ok(())
}

/// A folder with the followed file and the target of one system.
struct Place {
    folder: tempfile::TempDir,
    /// Of the deployment: in topics, groups and transactional ids.
    name: String,
    lines: usize,
}

impl Place {
    fn new(kafka: Option<&str>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let name = format!("bench-{nanos:x}");
        let mut config = WORKER.replace("\"bench\"", &format!("\"{name}\"")).replace("wms.stock", &format!("{name}-stock"));
        if let Some(servers) = kafka {
            config.push_str(&format!("\n[kafka]\n\"bootstrap.servers\" = \"{servers}\"\n"));
        }
        fs::write(folder.path().join("worker.toml"), config)?;
        fs::write(folder.path().join("secret"), "secret")?;
        fs::create_dir(folder.path().join("in"))?;
        fs::write(folder.path().join("in/stock.csv"), "id,quantity\n")?;
        Ok(Self { folder, name, lines: 0 })
    }

    fn worker(&self, wharf: &Path) -> Command {
        let mut command = Command::new(wharf);
        command.args(["run", "worker.toml"]).current_dir(self.folder.path());
        command
    }

    fn bare(&self, this: &Path, kafka: &str) -> Command {
        let mut command = Command::new(this);
        command.args(["bare", "--kafka", kafka, "--name", &self.name]);
        command
    }

    /// One start: milliseconds until the row of the line just appended is in the target.
    fn start(&mut self, command: &mut Command) -> Result<f64> {
        self.lines += 1;
        writeln!(File::options().append(true).open(self.folder.path().join("in/stock.csv"))?, "{},1", self.lines)?;
        let path = self.folder.path().join("log");
        let log = File::create(&path)?;
        let began = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let came = self.row(&mut child, began);
        sleep(SETTLE);
        let ended = stop(&mut child);
        let took = came.with_context(|| fs::read_to_string(&path).unwrap_or_default())?;
        ended?;
        Ok(took.as_secs_f64() * 1000.0)
    }

    fn row(&self, child: &mut Child, began: Instant) -> Result<Duration> {
        loop {
            let took = began.elapsed();
            if self.rows() >= self.lines {
                return Ok(took);
            }
            if took > PATIENCE {
                bail!("no row came within {PATIENCE:?}");
            }
            if let Some(status) = child.try_wait()? {
                bail!("it ended ({status}) before its row came");
            }
            sleep(LOOK);
        }
    }

    /// Rows of the target; none while it is not there yet.
    fn rows(&self) -> usize {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let count = Connection::open_with_flags(self.folder.path().join("warehouse.sqlite"), flags)
            .and_then(|target| target.query_row("select count(*) from stock", [], |row| row.get::<_, i64>(0)));
        count.map_or(0, |count| usize::try_from(count).unwrap_or(0))
    }
}

/// Asks it to stop and waits until it has.
fn stop(child: &mut Child) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process without an id")?;
    if child.try_wait()?.is_none() {
        kill_process(pid, Signal::TERM)?;
    }
    child.wait()?;
    Ok(())
}

/// Of one system: the first start apart, as it compiles and creates what the others find.
struct Figures {
    first: f64,
    median: f64,
    least: f64,
    most: f64,
}

impl Figures {
    fn of(times: &[f64]) -> Self {
        let (first, rest) = times.split_first().map_or((0.0, times), |(first, rest)| (*first, rest));
        let mut rest = rest.to_vec();
        rest.sort_by(f64::total_cmp);
        let at = |index: usize| rest.get(index).copied().unwrap_or(0.0);
        Self { first, median: at(rest.len() / 2), least: at(0), most: at(rest.len().saturating_sub(1)) }
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { first, median, least, most } = self;
        write!(f, "start to first row: median {median:.0} ms, {least:.0} to {most:.0}; the first one {first:.0} ms")
    }
}
