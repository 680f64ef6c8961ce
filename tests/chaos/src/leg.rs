//! One leg: records flow while its rounds of kills and faults go over it; at its end all has to have arrived.

use std::collections::BTreeMap;
use std::path::{Path as FsPath, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use fastrand::Rng;
use serde::{Deserialize, Serialize};
use wharf_runtime::fault_point::Mutant;

use crate::compare::{Tally, Verdict, compare};
use crate::numbered::Emitter;
use crate::path::{self, Path, Role};
use crate::process::{At, Ended, Plan, Worker, tail};
use crate::schedule::{self, LegPlan, Round};
use crate::servers::Servers;

/// Between two bursts of records.
const BURST: Duration = Duration::from_millis(100);
/// No more are sent while this many are on their way: a slow target is to be met by kills, not by a backlog.
const ON_THE_WAY: u64 = 1_000;
/// Between two looks at the destination.
const LOOK: Duration = Duration::from_millis(25);
/// A worker reaches its point, and records flow again after a fault, within this time.
const PATIENCE: Duration = Duration::from_secs(60);
/// All records have arrived within this time after the last fault.
const SETTLE: Duration = Duration::from_secs(90);
/// No record within this time: none is on its way any more.
const STILL: Duration = Duration::from_millis(1_500);
/// What was fetched before a fault has arrived within this time.
const DRY: Duration = Duration::from_secs(30);
const SETTLE_MUTANT: Duration = Duration::from_secs(10);

/// What a leg came to.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Outcome {
    pub records: u64,
    /// By phase.
    pub kills: BTreeMap<String, u64>,
    /// Seconds from the end of a fault to the next record at the destination, by fault.
    pub recoveries: BTreeMap<String, Vec<f64>>,
    pub tally: Tally,
    pub findings: Vec<String>,
}

/// A leg while it runs.
pub struct Leg<'a> {
    plan: LegPlan,
    pub servers: &'a mut Servers,
    pub path: Box<dyn Path>,
    pub rng: Rng,
    emitter: Emitter,
    folder: PathBuf,
    mutant: Option<Mutant>,
    last_burst: Instant,
    kills: BTreeMap<String, u64>,
    pub recoveries: BTreeMap<String, Vec<f64>>,
    /// The neighbour has records that it did not deliver.
    pub neighbours: bool,
    counters: Vec<String>,
}

impl<'a> Leg<'a> {
    pub async fn prepare(plan: LegPlan, folder: &FsPath, servers: &'a mut Servers, mutant: Option<Mutant>) -> Result<Self> {
        let process = std::process::id();
        let since = std::time::UNIX_EPOCH.elapsed().context("the clock")?.as_millis();
        let name = format!("chaos-{}-{process}-{since}", plan.path.name());
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let path = path::prepare(plan.path, folder, &name, servers, plan.seed).await?;
        for role in [Role::Main, Role::Second, Role::Twin, Role::Neighbour] {
            std::fs::write(config(folder, role), path.config(role))?;
        }
        Ok(Self {
            rng: Rng::with_seed(plan.seed ^ 0x006c_6567),
            emitter: Emitter::new(plan.seed, path.refused()),
            folder: folder.to_owned(),
            last_burst: Instant::now(),
            kills: BTreeMap::new(),
            recoveries: BTreeMap::new(),
            neighbours: false,
            counters: Vec::new(),
            plan,
            servers,
            path,
            mutant,
        })
    }

    /// Runs all rounds, then compares.
    pub async fn run(mut self) -> Result<Outcome> {
        // A mutant is to be found by kills alone.
        let faults = if self.mutant.is_some() { &[] } else { self.path.faults() };
        for round in schedule::rounds(self.plan, self.path.phases(), faults) {
            match round {
                Round::Kill(at) => self.kill(at).await.with_context(|| format!("a kill at {at:?}"))?,
                Round::Fault(fault) => self.fault(fault).await.with_context(|| format!("the fault `{}`", fault.name()))?,
            }
        }
        let verdict = self.settle().await?;
        let mut tally = verdict.tally;
        let mut findings = verdict.findings;
        // A counter that does not add up is a record that the worker lost sight of.
        tally.lost += self.counters.len() as u64;
        findings.append(&mut self.counters);
        Ok(Outcome { records: self.emitter.sent.len() as u64, kills: self.kills, recoveries: self.recoveries, tally, findings })
    }

    pub fn start(&self, role: Role, plan: Plan) -> Result<Worker> {
        let plan = Plan { mutant: self.mutant.map(Mutant::name), ..plan };
        Worker::start(&config(&self.folder, role), &self.folder.join(format!("{}.log", role.name())), plan)
    }

    /// A worker that dies at a point while records flow.
    async fn kill(&mut self, at: At) -> Result<()> {
        let (began, before) = (Instant::now(), self.count().await?);
        let mut worker = self.start(Role::Main, Plan { die: Some(at), ..Plan::default() })?;
        let mut recovered = false;
        loop {
            self.tick().await?;
            if !recovered && self.count().await? > before {
                recovered = true;
                self.recoveries.entry("worker killed".to_owned()).or_default().push(began.elapsed().as_secs_f64());
            }
            match worker.ended()? {
                None if began.elapsed() > PATIENCE => {
                    bail!("the worker did not get there in {PATIENCE:?}; the end of its log:\n{}", tail(&worker.log));
                }
                None => {}
                Some(Ended::Killed) => break,
                Some(ended) => bail!("the worker ended as {ended:?}; the end of its log:\n{}", tail(&worker.log)),
            }
        }
        *self.kills.entry(at.phase.to_owned()).or_default() += 1;
        Ok(())
    }

    /// A worker that delivers.
    pub async fn healthy(&mut self, plan: Plan) -> Result<Worker> {
        let (began, before) = (Instant::now(), self.count().await?);
        let mut worker = self.start(Role::Main, plan)?;
        while self.count().await? <= before {
            self.tick().await?;
            worker.check()?;
            if began.elapsed() > PATIENCE {
                bail!("nothing arrived in {PATIENCE:?}; the end of the worker's log:\n{}", tail(&worker.log));
            }
        }
        Ok(worker)
    }

    /// Waits for the next record at the destination, and keeps how long after `began` it came.
    pub async fn recovered(&mut self, what: &str, began: Instant, worker: &mut Worker) -> Result<()> {
        let before = self.count().await?;
        while self.count().await? <= before {
            self.tick().await?;
            worker.check()?;
            if began.elapsed() > PATIENCE {
                bail!("nothing arrived for {PATIENCE:?} after it; the end of the worker's log:\n{}", tail(&worker.log));
            }
        }
        self.recoveries.entry(what.to_owned()).or_default().push(began.elapsed().as_secs_f64());
        Ok(())
    }

    /// Ends a worker by the schedule's choice: killed from outside, or drained, and then its counters have to add up.
    pub async fn part(&mut self, mut worker: Worker) -> Result<()> {
        if self.rng.bool() { worker.kill() } else { self.drain(worker).await }
    }

    async fn drain(&mut self, mut worker: Worker) -> Result<()> {
        match worker.drain(Duration::from_secs(40)).await? {
            Ended::Clean => {}
            Ended::Code(code) if code == i32::from(crate::worker::UNEVEN) => {
                let lines = tail(&worker.log);
                self.counters.extend(lines.lines().filter(|line| line.contains("counters do not")).map(ToOwned::to_owned));
            }
            ended => bail!("the worker was to drain and ended as {ended:?}; the end of its log:\n{}", tail(&worker.log)),
        }
        Ok(())
    }

    pub async fn count(&mut self) -> Result<u64> {
        self.path.count().await
    }

    /// A short while: records are sent from time to time.
    pub async fn tick(&mut self) -> Result<()> {
        self.tick_of(Role::Main).await
    }

    pub async fn tick_of(&mut self, role: Role) -> Result<()> {
        let sent = self.emitter.sent.len() as u64;
        if self.last_burst.elapsed() >= BURST && sent < self.count().await? + ON_THE_WAY {
            self.last_burst = Instant::now();
            let records = self.emitter.next(role);
            if !self.path.send(&records, role).await? {
                self.emitter.take_back(&records);
            }
        }
        tokio::time::sleep(LOOK).await;
        Ok(())
    }

    /// Records flow in for a time and none arrives: else the fault is none.
    pub async fn standstill(&mut self, time: Duration) -> Result<()> {
        // What was on its way when it began may still arrive.
        self.flow(time / 3).await?;
        let before = self.count().await?;
        self.flow(time * 2 / 3).await?;
        let after = self.count().await?;
        if after > before {
            bail!("{} records arrived in spite of it", after - before);
        }
        Ok(())
    }

    /// Records flow in for a time, and longer until none arrives: a sink still has what it had fetched.
    pub async fn run_dry(&mut self, time: Duration) -> Result<()> {
        self.flow(time).await?;
        let until = Instant::now() + DRY;
        loop {
            let before = self.count().await?;
            self.flow(STILL).await?;
            if self.count().await? == before {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("records still arrive {DRY:?} after it");
            }
        }
    }

    /// Records flow in for a time, whatever arrives.
    pub async fn flow(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.tick().await?;
        }
        Ok(())
    }

    pub fn some_point(&mut self) -> At {
        let phases = self.path.phases();
        let phase = phases.get(self.rng.usize(0..phases.len())).copied().unwrap_or("poll");
        schedule::at(&mut self.rng, phase)
    }

    /// No more records: all that were sent have to arrive, and nothing after that.
    async fn settle(&mut self) -> Result<Verdict> {
        let worker = self.start(Role::Main, Plan::default())?;
        let neighbour = if self.neighbours { Some(self.start(Role::Neighbour, Plan::default())?) } else { None };
        let began = Instant::now();
        // What a mutant has lost will not come.
        let patience = if self.mutant.is_some() { SETTLE_MUTANT } else { SETTLE };
        while began.elapsed() < patience {
            if compare(&self.emitter.sent, &self.path.arrived().await?).tally.lost == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // What comes twice may come later.
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.drain(worker).await?;
        if let Some(neighbour) = neighbour {
            self.drain(neighbour).await?;
        }
        Ok(compare(&self.emitter.sent, &self.path.arrived().await?))
    }
}

fn config(folder: &FsPath, role: Role) -> PathBuf {
    folder.join(format!("{}.toml", role.name()))
}
