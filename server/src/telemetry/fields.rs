//! Attribute keys, in one table: OpenTelemetry's semantic conventions (1.44) where they have a name, `cleave.*` else.

/// The handler, as OpenTelemetry's service.
pub const SERVICE_NAME: &str = "service.name";
/// `cleave`.
pub const RPC_SYSTEM_NAME: &str = "rpc.system.name";
/// The fully qualified function.
pub const RPC_METHOD: &str = "rpc.method";
/// The request's method.
pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
/// The answer's status.
pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
/// The request's path.
pub const URL_PATH: &str = "url.path";
/// A failure's code.
pub const ERROR_TYPE: &str = "error.type";
/// The queue.
pub const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
/// The message.
pub const MESSAGING_MESSAGE_ID: &str = "messaging.message.id";
/// The attempt's number, from 1.
pub const MESSAGE_ATTEMPT: &str = "cleave.message.attempt";
/// Caller and callee interface: `checkout -> shop:email/email`.
pub const EDGE: &str = "cleave.edge";
/// `direct`, `quic` or `queue`.
pub const TRANSPORT: &str = "cleave.transport";
/// The placement in force.
pub const PLACEMENT: &str = "cleave.placement";
/// Whether an instance had to be made.
pub const COLD: &str = "cleave.cold";
/// `ok` or `err`.
pub const RESULT: &str = "cleave.result";
/// The arguments themselves, base64 of their wire form, where `[traces] arguments` is on.
pub const ARGS: &str = "cleave.args";
/// Bytes of arguments.
pub const ARGS_BYTES: &str = "cleave.args.bytes";
/// Bytes of the result.
pub const VALUE_BYTES: &str = "cleave.value.bytes";
/// Attributes beyond the limit of a span.
pub const ATTRIBUTES_DROPPED: &str = "cleave.attributes.dropped";
/// Log lines beyond the limit of a span.
pub const LOGS_DROPPED: &str = "cleave.logs.dropped";
/// The node that recorded it, as OpenTelemetry's instance of a service.
pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";
/// The node, where it is read back.
pub const NODE: &str = "cleave.node";
/// The machine that a foreign span was recorded on.
pub const HOST_NAME: &str = "host.name";
/// The other end of a call.
pub const SERVICE_PEER_NAME: &str = "service.peer.name";
/// The same, as it was called before 1.40.
pub const PEER_SERVICE: &str = "peer.service";
/// `cleave`, of an enqueue and of an attempt.
pub const MESSAGING_SYSTEM: &str = "messaging.system";
/// `send` or `process`.
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
/// The library that made a foreign span; every foreign span has it, if only as an empty text.
pub const SCOPE_NAME: &str = "otel.scope.name";
/// Its version.
pub const SCOPE_VERSION: &str = "otel.scope.version";
/// `OK`, where a foreign span said so; the absence of a status is not told from ours.
pub const STATUS_CODE: &str = "otel.status_code";
/// Attributes that were left out, by who sent the span or by us.
pub const DROPPED_ATTRIBUTES: &str = "otel.dropped_attributes_count";
/// Links that were left out.
pub const DROPPED_LINKS: &str = "otel.dropped_links_count";
/// The W3C trace state of a foreign span.
pub const TRACE_STATE: &str = "cleave.trace_state";
/// The second link of a foreign span is `cleave.link.1`, and so on: trace id, `-`, span id.
pub const LINK: &str = "cleave.link.";
/// What stands before a resource's attribute where it is kept with a span.
pub const RESOURCE: &str = "resource.";
/// How long before its start a foreign span says that it ended; it is kept with a length of 0.
pub const ENDED_EARLY_NS: &str = "cleave.ended_early_ns";
/// Of an event `log`: `info`, `stdout` …
pub const LOG_LEVEL: &str = "cleave.log.level";
/// Of an event `log`: the line.
pub const LOG_MESSAGE: &str = "cleave.log.message";
/// Of an event `exception`.
pub const EXCEPTION_TYPE: &str = "exception.type";
/// Of an event `exception`.
pub const EXCEPTION_MESSAGE: &str = "exception.message";
/// Step 1.
pub const STAGE_LIFT: &str = "cleave.stage.lift_ns";
/// Step 2.
pub const STAGE_SEND: &str = "cleave.stage.send_ns";
/// Steps 3 and 8.
pub const STAGE_TRAVEL: &str = "cleave.stage.travel_ns";
/// Step 9.
pub const STAGE_LOWER: &str = "cleave.stage.lower_ns";
/// Steps 4 to 7 and what lies between them.
pub const STAGE_TOTAL: &str = "cleave.stage.total_ns";
/// Step 4.
pub const STAGE_DECODE: &str = "cleave.stage.decode_ns";
/// Step 5.
pub const STAGE_WAIT: &str = "cleave.stage.wait_ns";
/// Step 6.
pub const STAGE_RUN: &str = "cleave.stage.run_ns";
/// The callee's own calls.
pub const STAGE_OUTGOING: &str = "cleave.stage.outgoing_ns";
/// Step 7.
pub const STAGE_ENCODE: &str = "cleave.stage.encode_ns";
