//! `postq schedule ...`: what makes jobs again and again.

use clap::{Args, Subcommand, ValueEnum};
use postq_proto::v1::{
    self, DeleteScheduleRequest, GetScheduleRequest, ListSchedulesRequest, ListSchedulesResponse,
    PauseScheduleRequest, PutScheduleRequest, ResumeScheduleRequest, TriggerScheduleRequest,
};
use tonic::Status;

use crate::{
    client::{Connection, Coordinator, bounded},
    command::submit::delay,
    document::Document,
    failure::{Exit, Failure},
    output::{self, Output},
    watch::words,
};

/// What is done with schedules.
#[derive(Debug, Subcommand)]
pub enum Schedule {
    /// Make a schedule, or put another in the place of the one of that name.
    Put(Put),
    /// List schedules by name.
    Ls(List),
    /// Show a schedule.
    Get(Named),
    /// Forget a schedule; the jobs it has made go on.
    Rm(Named),
    /// Let a schedule rest.
    Pause(Named),
    /// Let a schedule that rests go on with its next time.
    Resume(Named),
    /// Make the job of a schedule now, and print its id.
    Trigger(Named),
}

/// A new schedule.
#[derive(Args, Debug)]
pub struct Put {
    /// Its name.
    name: String,
    #[command(flatten)]
    document: Document,
    /// When: minute hour day month weekday, or with seconds before them.
    #[arg(
        long,
        value_name = "EXPRESSION",
        conflicts_with = "every",
        required_unless_present = "every"
    )]
    cron: Option<String>,
    /// Every so long from now, as 10m.
    #[arg(long, value_name = "DURATION", value_parser = delay)]
    every: Option<pbjson_types::Duration>,
    /// Where the expression means what it says, as Europe/Berlin.
    #[arg(long, value_name = "NAME", default_value = "UTC")]
    time_zone: String,
    /// What becomes of a time that comes while the job before has not ended.
    #[arg(long, value_enum, default_value_t = Overlap::Allow)]
    overlap: Overlap,
    /// Which times are made up for that came while no coordinator ran.
    #[arg(long, value_enum, default_value_t = CatchUp::Last)]
    catch_up: CatchUp,
    /// With --catch-up all: how many at most.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    catch_up_limit: i32,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Overlap {
    Allow,
    Skip,
    Queue,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CatchUp {
    Last,
    None,
    All,
}

/// All schedules.
#[derive(Args, Debug)]
pub struct List {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

/// One schedule.
#[derive(Args, Debug)]
pub struct Named {
    /// Its name.
    name: String,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

impl Schedule {
    /// Does it.
    pub async fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::Put(put) => put.run().await?,
            Self::Ls(list) => list.run().await?,
            Self::Get(named) => named.get().await?,
            Self::Rm(named) => named.remove().await?,
            Self::Pause(named) => named.pause().await?,
            Self::Resume(named) => named.resume().await?,
            Self::Trigger(named) => named.trigger().await?,
        }
        Ok(Exit::Success)
    }
}

impl Put {
    async fn run(self) -> Result<(), Failure> {
        let job = self.document.read()?.spec;
        let overlap = match self.overlap {
            Overlap::Allow => v1::schedule::Overlap::Allow,
            Overlap::Skip => v1::schedule::Overlap::Skip,
            Overlap::Queue => v1::schedule::Overlap::Queue,
        };
        let catch_up = match self.catch_up {
            CatchUp::Last => v1::schedule::CatchUp::Last,
            CatchUp::None => v1::schedule::CatchUp::None,
            CatchUp::All => v1::schedule::CatchUp::All,
        };
        let schedule = v1::Schedule {
            name: self.name,
            cron: self.cron.unwrap_or_default(),
            every: self.every,
            time_zone: self.time_zone,
            overlap: overlap.into(),
            catch_up: catch_up.into(),
            catch_up_limit: self.catch_up_limit,
            job: Some(job),
            ..v1::Schedule::default()
        };
        let coordinator = self.connection.open()?;
        let request = bounded(PutScheduleRequest { schedule: Some(schedule) });
        let answer = coordinator.schedules().put_schedule(request).await;
        let answer = answer.map_err(|status| refused(&status, "put the schedule", &coordinator))?;
        self.output.print(&answer.into_inner(), |answer| told(answer.schedule.as_ref()))
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let coordinator = self.connection.open()?;
        let mut schedules = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = bounded(ListSchedulesRequest { page_size: 1000, page_token });
            let page = coordinator.schedules().list_schedules(request).await;
            let page = page.map_err(|status| refused(&status, "list schedules", &coordinator))?;
            let page = page.into_inner();
            schedules.extend(page.schedules);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let answer = ListSchedulesResponse { schedules, next_page_token: String::new() };
        self.output.print(&answer, |answer| table(&answer.schedules))
    }
}

impl Named {
    async fn get(self) -> Result<(), Failure> {
        let coordinator = self.connection.open()?;
        let request = bounded(GetScheduleRequest { name: self.name });
        let answer = coordinator.schedules().get_schedule(request).await;
        let answer = answer.map_err(|status| refused(&status, "get the schedule", &coordinator))?;
        self.output.print(&answer.into_inner(), |answer| told(answer.schedule.as_ref()))
    }

    async fn remove(self) -> Result<(), Failure> {
        let coordinator = self.connection.open()?;
        let request = bounded(DeleteScheduleRequest { name: self.name.clone() });
        let answer = coordinator.schedules().delete_schedule(request).await;
        let answer =
            answer.map_err(|status| refused(&status, "remove the schedule", &coordinator))?;
        self.output.print(&answer.into_inner(), |_| format!("schedule {} is gone", self.name))
    }

    async fn pause(self) -> Result<(), Failure> {
        let coordinator = self.connection.open()?;
        let request = bounded(PauseScheduleRequest { name: self.name });
        let answer = coordinator.schedules().pause_schedule(request).await;
        let answer =
            answer.map_err(|status| refused(&status, "pause the schedule", &coordinator))?;
        self.output.print(&answer.into_inner(), |answer| told(answer.schedule.as_ref()))
    }

    async fn resume(self) -> Result<(), Failure> {
        let coordinator = self.connection.open()?;
        let request = bounded(ResumeScheduleRequest { name: self.name });
        let answer = coordinator.schedules().resume_schedule(request).await;
        let answer =
            answer.map_err(|status| refused(&status, "resume the schedule", &coordinator))?;
        self.output.print(&answer.into_inner(), |answer| told(answer.schedule.as_ref()))
    }

    async fn trigger(self) -> Result<(), Failure> {
        let coordinator = self.connection.open()?;
        let request = bounded(TriggerScheduleRequest { name: self.name });
        let answer = coordinator.schedules().trigger_schedule(request).await;
        let answer =
            answer.map_err(|status| refused(&status, "trigger the schedule", &coordinator))?;
        self.output.print(&answer.into_inner(), |answer| answer.job_id.clone())
    }
}

fn refused(status: &Status, verb: &str, coordinator: &Coordinator) -> Failure {
    Failure::from_status(status, verb, coordinator.url())
}

/// One schedule, a line for each thing.
fn told(schedule: Option<&v1::Schedule>) -> String {
    let Some(schedule) = schedule else { return String::new() };
    let mut lines = vec![
        format!("schedule {} {}", schedule.name, when(schedule)),
        format!("next     {}", next(schedule)),
        format!("last     {}", last(schedule)),
        format!("fired    {}, left out {}", schedule.fired, schedule.skipped),
    ];
    if schedule.waiting > 0 {
        lines.push(format!("waiting  {}", schedule.waiting));
    }
    lines.join("\n")
}

fn table(schedules: &[v1::Schedule]) -> String {
    if schedules.is_empty() {
        return "no schedules; make one with `postq schedule put NAME FILE --cron EXPRESSION`"
            .to_owned();
    }
    let mut table = output::table(["name", "when", "next", "last", "fired"]);
    for schedule in schedules {
        table.add_row([
            schedule.name.clone(),
            when(schedule),
            next(schedule),
            last(schedule),
            schedule.fired.to_string(),
        ]);
    }
    output::lines_of(&table)
}

fn when(schedule: &v1::Schedule) -> String {
    match &schedule.every {
        Some(every) => {
            let length = std::time::Duration::try_from(*every).unwrap_or_default();
            format!("every {}", humantime::format_duration(length))
        }
        None => format!("{} ({})", schedule.cron, schedule.time_zone),
    }
}

fn next(schedule: &v1::Schedule) -> String {
    if schedule.is_paused {
        return "paused".to_owned();
    }
    match schedule.error.as_str() {
        "" => output::time(schedule.next_at.as_ref()),
        error => format!("never: {error}"),
    }
}

fn last(schedule: &v1::Schedule) -> String {
    let at = output::time(schedule.last_at.as_ref());
    match schedule.last_job_id.as_str() {
        "" => at,
        job => format!("{at} {} {job}", words::job_state(schedule.last_job_state())),
    }
}
