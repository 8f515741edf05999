//! Traces leave the processes: a collector gets the spans of both services, in the submitter's
//! trace, and each span of PostQ's own has the one before it as its parent.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use postq_proto::v1::{Job, SubmitJobRequest};
use postq_tests::{AgentSetup, Cluster, Database, PATIENCE, eventually, spec};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SUBMITTER: &str = "b7ad6b7169203331";

/// What came in: each span with the name of its service.
#[derive(Clone, Debug, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<(String, Span)>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_resource in request.into_inner().resource_spans {
            let resource = of_resource.resource.unwrap_or_default();
            let service = texts(&resource.attributes).remove("service.name").unwrap_or_default();
            let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let mut all = self.spans.lock().unwrap();
            all.extend(spans.map(|span| (service.clone(), span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Listens on a free port until the test ends. Gives the address as well.
    async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let this = Self::default();
        let service = TraceServiceServer::new(this.clone());
        let incoming = TcpListenerStream::new(listener);
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        (this, url)
    }

    /// The span of that name that a service exported into the submitter's trace.
    async fn wait_for(&self, service: &str, name: &str) -> Span {
        let what = format!("the span {name} of {service} in the submitter's trace");
        let look = async || {
            let spans = self.spans.lock().unwrap();
            let is_it = |(of, span): &&(String, Span)| {
                of == service && span.name == name && hex(&span.trace_id) == TRACE
            };
            spans.iter().find(is_it).map(|(_, span)| span.clone())
        };
        eventually(&what, PATIENCE, look).await
    }
}

#[tokio::test]
async fn the_spans_of_both_services_reach_a_collector_in_the_submitters_trace() {
    let (collector, url) = Collector::start().await;
    let cluster = exporting_cluster(&url).await;
    let job = run_traced(&cluster).await;

    let submit = collector.wait_for("postq-coordinator", "submit").await;
    let assign = collector.wait_for("postq-coordinator", "assign").await;
    let attempt = collector.wait_for("postq-agent", "attempt").await;
    assert_eq!(hex(&submit.parent_span_id), SUBMITTER);
    assert_eq!(hex(&assign.parent_span_id), hex(&submit.span_id));
    assert_eq!(hex(&attempt.parent_span_id), hex(&assign.span_id));

    assert_eq!(texts(&submit.attributes)["job.id"], job.id);
    let attributes = texts(&attempt.attributes);
    assert_eq!(attributes["job.id"], job.id);
    assert_eq!(attributes["task.name"], "a");
    let made = cluster.database.value::<i64>("select max(id) from postq.attempt").await;
    assert_eq!(attributes["attempt.id"], made.to_string());
    assert_eq!(texts(&assign.attributes)["attempt.id"], made.to_string());

    // What the task does itself comes below its attempt.
    let told = format!("00-{TRACE}-{}-01", hex(&attempt.span_id));
    assert_eq!(job.tasks["a"].results.trim_end(), told);
}

async fn exporting_cluster(collector: &str) -> Cluster {
    let mut cluster = Cluster::create(Database::create().await);
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", collector), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    cluster.environment = variables.map(|(name, value)| (name.into(), value.into())).into();
    cluster.add_coordinator(&[]).await;
    cluster.add_agent(AgentSetup::default()).await;
    cluster.wait_for_agents().await;
    cluster
}

/// A job of one task that tells its `TRACEPARENT`, at its end.
async fn run_traced(cluster: &Cluster) -> Job {
    let document = json!({"tasks": {"a": {"command": "echo $TRACEPARENT"}}});
    let mut request =
        Request::new(SubmitJobRequest { job: Some(spec(&document)), ..Default::default() });
    let traceparent = format!("00-{TRACE}-{SUBMITTER}-01");
    request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
    let client = cluster.client();
    let id = client.jobs().submit_job(request).await.unwrap().into_inner().id;
    client.wait(id.parse().unwrap(), PATIENCE).await
}

/// Attributes as text.
fn texts(attributes: &[KeyValue]) -> HashMap<String, String> {
    let text = |it: &KeyValue| match it.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some((it.key.clone(), text.clone())),
        Value::IntValue(number) => Some((it.key.clone(), number.to_string())),
        _ => None,
    };
    attributes.iter().filter_map(text).collect()
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
