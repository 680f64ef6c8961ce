//! The faults beside kills: what each does to the servers and workers of a leg, and from when on its recovery counts.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::leg::Leg;
use crate::path::{Role, timeouts};
use crate::process::{At, Plan, Worker};
use crate::servers::Server;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// kill -9 of the broker, and a start.
    BrokerRestart,
    /// SIGSTOP of the broker for two seconds.
    BrokerPause,
    /// The same for longer than `transaction.timeout.ms`.
    BrokerPauseLong,
    /// kill -9 of PostgreSQL, and a start.
    DatabaseRestart,
    /// The target resets every connection for a while.
    TargetResets,
    /// SIGSTOP of the worker in the midst of its work, past the session, `max.poll.interval` and `transaction.timeout.ms`.
    WorkerStop,
    /// The same, and a second worker is started meanwhile: two of one name at once.
    Zombie,
    /// The same with one `group.instance.id` for both: the group knows them as one member.
    Twin,
    /// Another source on the same positions partition is killed in its transaction, and the worker after it.
    Neighbour,
    /// The files of the embedded log cannot grow.
    DiskFull,
}

/// Nothing takes this long to recover.
const PATIENCE: Duration = Duration::from_secs(60);

impl Fault {
    pub const fn name(self) -> &'static str {
        match self {
            Self::BrokerRestart => "broker killed and started",
            Self::BrokerPause => "broker stopped for 2 s",
            Self::BrokerPauseLong => "broker stopped past transaction.timeout",
            Self::DatabaseRestart => "database killed and started",
            Self::TargetResets => "target resets connections for 3 s",
            Self::WorkerStop => "worker stopped past its timeouts",
            Self::Zombie => "two workers at once",
            Self::Twin => "two workers of one instance id",
            Self::Neighbour => "neighbour killed in its transaction",
            Self::DiskFull => "disk full for 3 s",
        }
    }
}

impl Leg<'_> {
    /// Brings a fault about and waits until records arrive again.
    pub async fn fault(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::WorkerStop => return self.worker_stop(fault).await,
            Fault::Zombie => return self.zombie(fault, Role::Second).await,
            Fault::Twin => return self.zombie(fault, Role::Twin).await,
            Fault::Neighbour => return self.neighbour(fault).await,
            _ => {}
        }
        let mut worker = self.healthy(Plan::default()).await?;
        let began = match fault {
            Fault::BrokerRestart => {
                server(&mut self.servers.kafka)?.kill().await?;
                self.run_dry(Duration::ZERO).await?;
                restart(&mut self.servers.kafka).await?
            }
            Fault::DatabaseRestart => {
                server(&mut self.servers.postgres)?.kill().await?;
                self.flow(Duration::from_millis(500)).await?;
                restart(&mut self.servers.postgres).await?
            }
            Fault::BrokerPause => self.pause_broker(Duration::from_secs(2)).await?,
            Fault::BrokerPauseLong => self.pause_broker(timeouts::PAST_ALL).await?,
            Fault::TargetResets => {
                self.path.reset_connections(true);
                self.standstill(Duration::from_secs(3)).await?;
                self.path.reset_connections(false);
                Instant::now()
            }
            Fault::DiskFull => {
                worker.limit_files(Some(0))?;
                self.standstill(Duration::from_secs(3)).await?;
                worker.limit_files(None)?;
                Instant::now()
            }
            Fault::WorkerStop | Fault::Zombie | Fault::Twin | Fault::Neighbour => Instant::now(),
        };
        self.recovered(fault.name(), began, &mut worker).await?;
        self.part(worker).await
    }

    async fn pause_broker(&mut self, time: Duration) -> Result<Instant> {
        server(&mut self.servers.kafka)?.signal(Signal::STOP)?;
        let flowed = self.run_dry(time).await;
        server(&mut self.servers.kafka)?.signal(Signal::CONT)?;
        flowed?;
        Ok(Instant::now())
    }

    /// A worker that stops itself in the midst of its work.
    async fn stopped(&mut self) -> Result<Worker> {
        let at = self.some_point();
        let mut worker = self.start(Role::Main, Plan { stop: Some(at), ..Plan::default() })?;
        let until = Instant::now() + PATIENCE;
        while !worker.is_stopped()? {
            self.tick().await?;
            worker.check()?;
            if Instant::now() > until {
                bail!("the worker did not reach {at:?} in {PATIENCE:?}");
            }
        }
        Ok(worker)
    }

    async fn worker_stop(&mut self, fault: Fault) -> Result<()> {
        let mut worker = self.stopped().await?;
        self.standstill(timeouts::PAST_ALL).await?;
        worker.signal(Signal::CONT)?;
        self.recovered(fault.name(), Instant::now(), &mut worker).await?;
        self.part(worker).await
    }

    /// The first worker is stopped past its session, a second one takes over, and the first one wakes up.
    async fn zombie(&mut self, fault: Fault, other: Role) -> Result<()> {
        let mut first = self.stopped().await?;
        let began = Instant::now();
        let mut second = self.start(other, Plan::default())?;
        let before = self.count().await?;
        // What the first one holds in the database may keep the second one waiting until it wakes up.
        while began.elapsed() < timeouts::PAST_ALL {
            self.tick().await?;
            second.check()?;
            if self.count().await? > before {
                self.recoveries.entry(format!("{} (takeover)", fault.name())).or_default().push(began.elapsed().as_secs_f64());
                break;
            }
        }
        self.flow(timeouts::PAST_ALL.saturating_sub(began.elapsed())).await?;
        first.signal(Signal::CONT)?;
        self.recovered(&format!("{} (both awake)", fault.name()), Instant::now(), &mut second).await?;
        self.flow(Duration::from_secs(2)).await?;
        first.check()?;
        if self.rng.bool() {
            std::mem::swap(&mut first, &mut second);
        }
        first.kill()?;
        self.flow(Duration::from_millis(300)).await?;
        second.kill()
    }

    /// The neighbour's open transaction lies in the positions partition when the worker comes back and reads its own there.
    async fn neighbour(&mut self, fault: Fault) -> Result<()> {
        let mut worker = self.healthy(Plan::default()).await?;
        let die = At { phase: "transaction", nth: self.rng.u64(1..=3) };
        let mut neighbour = self.start(Role::Neighbour, Plan { die: Some(die), ..Plan::default() })?;
        let until = Instant::now() + PATIENCE;
        while neighbour.ended()?.is_none() {
            self.tick_of(Role::Neighbour).await?;
            worker.check()?;
            if Instant::now() > until {
                bail!("the neighbour did not reach {die:?} in {PATIENCE:?}");
            }
        }
        self.neighbours = true;
        self.flow(Duration::from_millis(500)).await?;
        worker.kill()?;
        let began = Instant::now();
        let mut worker = self.start(Role::Main, Plan::default())?;
        self.recovered(fault.name(), began, &mut worker).await?;
        self.part(worker).await
    }
}

fn server(server: &mut Option<Server>) -> Result<&mut Server> {
    server.as_mut().context("this path has no such server")
}

/// Answers when it was started again.
async fn restart(killed: &mut Option<Server>) -> Result<Instant> {
    let began = Instant::now();
    server(killed)?.start().await?;
    Ok(began)
}
