//! `wasi:keyvalue@0.2.0-draft2` (store, atomics): resources live here, operations are calls of `cleave:state/store`.
//!
//! So a handler's state is traced, billed and served by home like any other call, and never moves with its handler.
//! `batch` and `watch` are not served.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use protocol::builtin::state::{self, Answer, Entry, Operation, Request, Swapped};
use protocol::{FunctionPath, InterfaceName};
use wasmtime::component::{HasSelf, Linker, Resource};

use crate::dispatch::Call;
use crate::runtime::guest::Guest;

mod generated {
    wasmtime::component::bindgen!({
        path: "../handlers/wit/deps/wasi-keyvalue",
        inline: "
            package cleave:host;
            world keyvalue {
                import wasi:keyvalue/store@0.2.0-draft2;
                import wasi:keyvalue/atomics@0.2.0-draft2;
            }",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store.bucket": super::Bucket,
            "wasi:keyvalue/atomics.cas": super::Cas,
        },
    });
}

pub(in crate::runtime) use generated::wasi::keyvalue::{atomics, store};

/// The handler's space, by the name that the guest gave.
#[derive(Debug, Clone)]
pub struct Bucket {
    name: String,
}

/// A value that may be swapped: as it was when the guest looked.
#[derive(Debug, Clone)]
pub struct Cas {
    bucket: String,
    key: String,
    entry: Option<Entry>,
}

/// Whether this file serves the interface.
pub(super) fn serves(interface: &str) -> bool {
    interface.starts_with("wasi:keyvalue/store@") || interface.starts_with("wasi:keyvalue/atomics@")
}

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    store::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| guest)?;
    atomics::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| guest)
}

impl Guest {
    /// Carries an operation out by a call that goes through the router like any other.
    async fn state(&mut self, bucket: &str, operation: Operation) -> Result<Answer, store::Error> {
        let began = Instant::now();
        let request = Request {
            bucket: bucket.to_owned(),
            operation,
        };
        let function = request.function();
        let interface = InterfaceName::parse(state::INTERFACE).expect("the constant is an interface name");
        let call = Call {
            caller: self.handler.clone(),
            handler: None,
            function: Arc::new(FunctionPath::new(interface, function.as_str())),
            type_hash: None,
            args: request.encode(),
            deadline: self.call.deadline,
            trace: self.call.trace,
            hop: self.call.hop.saturating_add(1),
            lift_ns: began.elapsed().as_nanos() as u64,
        };
        let outcome = Arc::clone(&self.router).dispatch(call).await;
        self.call.outgoing += began.elapsed();
        let other = |reason: String| store::Error::Other(reason);
        let reply = outcome.map_err(|error| other(error.to_string()))?;
        match state::decode_reply(function, &reply.value) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(fault)) => Err(other(fault.to_string())),
            Err(error) => Err(other(format!("the state's answer cannot be read: {error}"))),
        }
    }

    fn bucket_name(&self, bucket: &Resource<Bucket>) -> wasmtime::Result<String> {
        Ok(self.table.get(bucket)?.name.clone())
    }
}

fn unexpected(answer: &Answer) -> store::Error {
    store::Error::Other(format!("the state answered with {answer:?}"))
}

fn to_vec(entry: Option<Entry>) -> Option<Vec<u8>> {
    entry.map(|entry| entry.value.to_vec())
}

impl store::Host for Guest {
    async fn open(&mut self, identifier: String) -> wasmtime::Result<Result<Resource<Bucket>, store::Error>> {
        Ok(Ok(self.table.push(Bucket { name: identifier })?))
    }
}

impl store::HostBucket for Guest {
    async fn get(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, store::Error>> {
        let bucket = self.bucket_name(&bucket)?;
        Ok(self
            .state(&bucket, Operation::Get { key })
            .await
            .and_then(|answer| match answer {
                Answer::Entry(entry) => Ok(to_vec(entry)),
                other => Err(unexpected(&other)),
            }))
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), store::Error>> {
        let bucket = self.bucket_name(&bucket)?;
        let value = Bytes::from(value);
        Ok(self
            .state(&bucket, Operation::Set { key, value })
            .await
            .map(|_| ()))
    }

    async fn delete(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<(), store::Error>> {
        let bucket = self.bucket_name(&bucket)?;
        Ok(self.state(&bucket, Operation::Delete { key }).await.map(|_| ()))
    }

    async fn exists(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<bool, store::Error>> {
        let bucket = self.bucket_name(&bucket)?;
        Ok(self
            .state(&bucket, Operation::Exists { key })
            .await
            .and_then(|answer| match answer {
                Answer::Exists(exists) => Ok(exists),
                other => Err(unexpected(&other)),
            }))
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<String>,
    ) -> wasmtime::Result<Result<store::KeyResponse, store::Error>> {
        let bucket = self.bucket_name(&bucket)?;
        Ok(self
            .state(&bucket, Operation::ListKeys { cursor })
            .await
            .and_then(|answer| match answer {
                Answer::Keys(page) => Ok(store::KeyResponse {
                    keys: page.keys,
                    cursor: page.cursor,
                }),
                other => Err(unexpected(&other)),
            }))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for Guest {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: i64,
    ) -> wasmtime::Result<Result<i64, store::Error>> {
        let bucket = self.bucket_name(&bucket)?;
        Ok(self
            .state(&bucket, Operation::Increment { key, delta })
            .await
            .and_then(|answer| match answer {
                Answer::Sum(sum) => Ok(sum),
                other => Err(unexpected(&other)),
            }))
    }

    async fn swap(
        &mut self,
        cas: Resource<Cas>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), atomics::CasError>> {
        let Cas { bucket, key, entry } = self.table.delete(cas)?;
        let expected = entry.map(|entry| entry.version);
        let swap = Operation::Swap {
            key: key.clone(),
            expected,
            value: value.into(),
        };
        match self.state(&bucket, swap).await {
            Ok(Answer::Swapped(Swapped::Stored(_))) => Ok(Ok(())),
            Ok(Answer::Swapped(Swapped::Conflict(entry))) => {
                // A new handle with what stands there now, so that the guest can try again at once.
                let newer = self.table.push(Cas { bucket, key, entry })?;
                Ok(Err(atomics::CasError::CasFailed(newer)))
            }
            Ok(other) => Ok(Err(atomics::CasError::StoreError(unexpected(&other)))),
            Err(error) => Ok(Err(atomics::CasError::StoreError(error))),
        }
    }
}

impl atomics::HostCas for Guest {
    async fn new(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<Resource<Cas>, store::Error>> {
        let bucket = self.bucket_name(&bucket)?;
        match self.state(&bucket, Operation::Get { key: key.clone() }).await {
            Ok(Answer::Entry(entry)) => Ok(Ok(self.table.push(Cas { bucket, key, entry })?)),
            Ok(other) => Ok(Err(unexpected(&other))),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn current(
        &mut self,
        cas: Resource<Cas>,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, store::Error>> {
        Ok(Ok(to_vec(self.table.get(&cas)?.entry.clone())))
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}
