//! `ScheduleService`: what makes jobs again and again.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use postq_proto::v1::{self, schedule_service_server::ScheduleService};
use tonic::{Request, Response, Status};
use tracing::info;

use super::page::Page;
use crate::{
    signals::Signals,
    store::Store,
    wire::{schedule, status},
};

/// The service.
#[derive(Clone)]
pub struct ScheduleApi {
    /// The database.
    pub store: Store,
    /// Who fires them is told.
    pub signals: Arc<Signals>,
}

impl ScheduleApi {
    async fn shown(&self, name: &str) -> Result<v1::Schedule, Status> {
        let row = self.store.schedule(name).await.map_err(status::of_store)?;
        let row = row.ok_or_else(|| unknown(name))?;
        Ok(schedule::shown(row))
    }

    async fn rest(&self, name: &str, is_paused: bool) -> Result<v1::Schedule, Status> {
        self.store.rest_schedule(name, is_paused).await.map_err(status::of_store)?;
        self.signals.schedules.notify_one();
        info!(schedule = name, is_paused, "schedule paused or resumed");
        self.shown(name).await
    }
}

fn unknown(name: &str) -> Status {
    Status::not_found(format!("there is no schedule {name:?}"))
}

#[tonic::async_trait]
impl ScheduleService for ScheduleApi {
    async fn put_schedule(
        &self,
        request: Request<v1::PutScheduleRequest>,
    ) -> Result<Response<v1::PutScheduleResponse>, Status> {
        let given = request.into_inner().schedule.unwrap_or_default();
        // Only for asking whether a time ever comes: any time will do.
        let stored = schedule::stored(&given, DateTime::<Utc>::UNIX_EPOCH);
        let stored = stored.map_err(|problems| status::of_problems(&problems))?;
        self.store.put_schedule(&stored).await.map_err(status::of_store)?;
        self.signals.schedules.notify_one();
        info!(schedule = given.name, "schedule put");
        let schedule = Some(self.shown(&given.name).await?);
        Ok(Response::new(v1::PutScheduleResponse { schedule }))
    }

    async fn get_schedule(
        &self,
        request: Request<v1::GetScheduleRequest>,
    ) -> Result<Response<v1::GetScheduleResponse>, Status> {
        let schedule = Some(self.shown(&request.get_ref().name).await?);
        Ok(Response::new(v1::GetScheduleResponse { schedule }))
    }

    async fn list_schedules(
        &self,
        request: Request<v1::ListSchedulesRequest>,
    ) -> Result<Response<v1::ListSchedulesResponse>, Status> {
        let request = request.get_ref();
        let page = Page::of(request.page_size, &request.page_token)?;
        let after: Option<String> = page.after()?;
        let rows = self.store.schedules(after.as_deref(), page.size + 1).await;
        let mut rows = rows.map_err(status::of_store)?;
        let next_page_token = page.next(&mut rows, |row| row.name.clone());
        let schedules = rows.into_iter().map(schedule::shown).collect();
        Ok(Response::new(v1::ListSchedulesResponse { schedules, next_page_token }))
    }

    async fn delete_schedule(
        &self,
        request: Request<v1::DeleteScheduleRequest>,
    ) -> Result<Response<v1::DeleteScheduleResponse>, Status> {
        let name = &request.get_ref().name;
        if !self.store.unschedule(name).await.map_err(status::of_store)? {
            return Err(unknown(name));
        }
        info!(schedule = name, "schedule deleted");
        Ok(Response::new(v1::DeleteScheduleResponse {}))
    }

    async fn pause_schedule(
        &self,
        request: Request<v1::PauseScheduleRequest>,
    ) -> Result<Response<v1::PauseScheduleResponse>, Status> {
        let schedule = Some(self.rest(&request.get_ref().name, true).await?);
        Ok(Response::new(v1::PauseScheduleResponse { schedule }))
    }

    async fn resume_schedule(
        &self,
        request: Request<v1::ResumeScheduleRequest>,
    ) -> Result<Response<v1::ResumeScheduleResponse>, Status> {
        let schedule = Some(self.rest(&request.get_ref().name, false).await?);
        Ok(Response::new(v1::ResumeScheduleResponse { schedule }))
    }

    async fn trigger_schedule(
        &self,
        request: Request<v1::TriggerScheduleRequest>,
    ) -> Result<Response<v1::TriggerScheduleResponse>, Status> {
        let name = &request.get_ref().name;
        let job = self.store.trigger_schedule(name).await.map_err(status::of_store)?;
        // A job of several tasks waits to be planned.
        self.signals.submissions.notify_one();
        info!(schedule = name, job.id = %job, "schedule triggered");
        Ok(Response::new(v1::TriggerScheduleResponse { job_id: job.to_string() }))
    }
}
