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
/// Bytes of arguments.
pub const ARGS_BYTES: &str = "cleave.args.bytes";
/// Bytes of the result.
pub const VALUE_BYTES: &str = "cleave.value.bytes";
/// Attributes beyond the limit of a span.
pub const ATTRIBUTES_DROPPED: &str = "cleave.attributes.dropped";
/// Log lines beyond the limit of a span.
pub const LOGS_DROPPED: &str = "cleave.logs.dropped";
