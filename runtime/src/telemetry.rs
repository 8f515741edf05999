//! Logs for people and machines, and traces for whoever collects them.
//!
//! Logs go to stderr; traces go out over OTLP (gRPC) only where `OTEL_EXPORTER_OTLP_ENDPOINT` is
//! set. It knows nothing of jobs. Invariant: a valid `traceparent` that comes in goes out again
//! with the same trace id, whether or not traces are exported.

use std::{collections::HashMap, time::Duration};

use opentelemetry::{
    propagation::TextMapPropagator,
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{SdkTracerProvider, Tracer},
};
use tonic::metadata::MetadataMap;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    EnvFilter, Layer, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt,
};

/// The W3C header, and the metadata key of the same name.
pub const TRACEPARENT: &str = "traceparent";

/// How long the end of a process may wait for its last spans to leave.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Why logs or traces could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The text of the filter is not understood.
    #[error("{variable}=`{value}` is not a log filter; write for example info,postq=debug")]
    BadFilter {
        /// The environment variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// POSTQ_LOG_FORMAT has another value than `human` or `json`.
    #[error("POSTQ_LOG_FORMAT=`{0}` is unknown; it is human or json")]
    BadFormat(String),
    /// The exporter could not be made from the OTEL_* variables.
    #[error("traces cannot be exported to OTEL_EXPORTER_OTLP_ENDPOINT")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
    /// Somebody else set up logging before.
    #[error("logging is set up already")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Keeps the exporter; dropping it sends what is left.
#[derive(Debug)]
#[must_use = "dropping it stops the export of traces"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take() {
            // A collector that is away must not keep a process from ending.
            let _ = provider.shutdown_with_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// Sets up logs and traces for the process. Call it once, inside the tokio runtime.
///
/// `POSTQ_LOG` (else `RUST_LOG`, else `info`) filters what is logged, not what is traced;
/// `POSTQ_LOG_FORMAT=json` writes JSON lines.
pub fn init(service_name: &str) -> Result<Telemetry, TelemetryError> {
    let provider = match std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT") {
        Some(endpoint) if !endpoint.is_empty() => Some(exporting_provider(service_name)?),
        _ => None,
    };
    let traces = provider.as_ref().map(|provider| {
        let tracer: Tracer = provider.tracer("postq");
        // What is written to the log is another matter than what is traced.
        tracing_opentelemetry::layer().with_tracer(tracer).with_filter(LevelFilter::INFO)
    });
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if is_json()? {
        lines.json().flatten_event(true).boxed()
    } else {
        lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed()
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter()?))
        .with(traces)
        .try_init()
        .map_err(TelemetryError::Twice)?;
    Ok(Telemetry { provider })
}

fn exporting_provider(service_name: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .build()
        .map_err(TelemetryError::Exporter)?;
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(service_name.to_owned());
    }
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build())
}

fn filter() -> Result<EnvFilter, TelemetryError> {
    for variable in ["POSTQ_LOG", "RUST_LOG"] {
        if let Ok(value) = std::env::var(variable)
            && !value.is_empty()
        {
            return EnvFilter::try_new(&value)
                .map_err(|_| TelemetryError::BadFilter { variable, value });
        }
    }
    Ok(EnvFilter::new("info"))
}

fn is_json() -> Result<bool, TelemetryError> {
    match std::env::var("POSTQ_LOG_FORMAT").unwrap_or_default().as_str() {
        "" | "human" => Ok(false),
        "json" => Ok(true),
        other => Err(TelemetryError::BadFormat(other.to_owned())),
    }
}

/// The `traceparent` of the current span; none where traces are not exported.
pub fn traceparent_of_current_span() -> Option<String> {
    traceparent_of(&Span::current())
}

/// The `traceparent` of a span; none where traces are not exported.
pub fn traceparent_of(span: &Span) -> Option<String> {
    let mut fields = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut fields);
    fields.remove(TRACEPARENT)
}

/// Makes `span` a child of what `traceparent` names. An invalid one is ignored, as W3C wants it.
/// Call it before the span is entered.
pub fn set_parent(span: &Span, traceparent: &str) {
    let fields = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract(&fields);
    if context.span().span_context().is_valid() {
        // It fails only where no traces are exported or the span was entered; both lose nothing
        // but one edge of a trace.
        let _ = span.set_parent(context);
    }
}

/// Makes `span` a child of what came in, and gives what is to be handed on: the span's own context
/// where traces are exported, else what came in. None where there is no trace at all.
pub fn continue_trace(span: &Span, traceparent: Option<&str>) -> Option<String> {
    let given = traceparent.filter(|given| is_valid(given));
    if let Some(given) = given {
        set_parent(span, given);
    }
    traceparent_of(span).or_else(|| given.map(ToOwned::to_owned))
}

/// Whether the text is a W3C `traceparent`.
pub fn is_valid(traceparent: &str) -> bool {
    let fields = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    TraceContextPropagator::new().extract(&fields).span().span_context().is_valid()
}

/// The caller's `traceparent`, where it sent a valid one.
pub fn extract(metadata: &MetadataMap) -> Option<String> {
    let given = metadata.get(TRACEPARENT)?.to_str().ok()?;
    is_valid(given).then(|| given.to_owned())
}

/// Sends `traceparent` along with a call; one that is not valid is left out.
pub fn inject(metadata: &mut MetadataMap, traceparent: &str) {
    if is_valid(traceparent)
        && let Ok(value) = traceparent.parse()
    {
        metadata.insert(TRACEPARENT, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn with_traces<T>(body: impl FnOnce() -> T) -> T {
        let provider = SdkTracerProvider::builder().build();
        let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(traces), body)
    }

    #[test]
    fn without_traces_a_given_context_is_handed_on_unchanged() {
        let span = tracing::info_span!("attempt");
        assert_eq!(continue_trace(&span, Some(GIVEN)).as_deref(), Some(GIVEN));
        assert_eq!(continue_trace(&span, Some("nonsense")), None);
        assert_eq!(continue_trace(&span, None), None);
    }

    #[test]
    fn with_traces_a_span_of_the_same_trace_is_handed_on() {
        let handed_on = with_traces(|| {
            let span = tracing::info_span!("attempt");
            continue_trace(&span, Some(GIVEN)).unwrap()
        });
        assert!(is_valid(&handed_on));
        assert_eq!(handed_on[..35], GIVEN[..35], "the trace id stays");
        assert_ne!(handed_on, GIVEN, "the span is new");
    }

    #[test]
    fn the_current_span_is_found() {
        let found = with_traces(|| {
            let span = tracing::info_span!("call");
            set_parent(&span, GIVEN);
            span.in_scope(traceparent_of_current_span)
        });
        assert_eq!(found.unwrap()[..35], GIVEN[..35]);
    }

    #[test]
    fn metadata_carries_only_valid_contexts() {
        let mut metadata = MetadataMap::new();
        inject(&mut metadata, "nonsense");
        assert!(metadata.is_empty());
        inject(&mut metadata, GIVEN);
        assert_eq!(extract(&metadata).as_deref(), Some(GIVEN));
    }
}
