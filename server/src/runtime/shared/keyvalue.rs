//! `wasi:keyvalue` for instances that serve several calls: the operations of `host/keyvalue.rs`, each in the name of the
//! call that asks for it.
//!
//! Written out, because generated bindings are given the store's data alone, which does not tell whose call it is.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType};

use super::calls::enter;
use crate::runtime::guest::Guest;
use crate::runtime::host::keyvalue::{Bucket, Cas, atomics, store};
use atomics::HostCas as _;
use store::HostBucket as _;

type Store<'s> = StoreContextMut<'s, Guest>;

/// Defines a function that acts in the name of the call that it is called in.
macro_rules! define {
    ($instance:expr, $name:literal, |$guest:ident, $args:tt: $types:ty| $body:expr) => {
        $instance.func_wrap_async($name, |mut store: Store<'_>, $args: $types| {
            Box::new(async move {
                enter(&mut store)?;
                let $guest = store.data_mut();
                Ok(($body,))
            })
        })?
    };
}

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    buckets(&mut linker.instance("wasi:keyvalue/store@0.2.0-draft2")?)?;
    swaps(&mut linker.instance("wasi:keyvalue/atomics@0.2.0-draft2")?)
}

fn buckets(instance: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    instance.resource("bucket", ResourceType::host::<Bucket>(), |mut store, bucket| {
        store
            .data_mut()
            .table
            .delete(Resource::<Bucket>::new_own(bucket))?;
        Ok(())
    })?;
    define!(instance, "open", |guest, (name,): (String,)| {
        store::Host::open(guest, name).await?
    });
    define!(instance, "[method]bucket.get", |guest,
                                             (bucket, key): (
        Resource<Bucket>,
        String
    )| guest
        .get(bucket, key)
        .await?);
    define!(instance, "[method]bucket.set", |guest,
                                             (bucket, key, value): (
        Resource<Bucket>,
        String,
        Vec<u8>
    )| guest
        .set(bucket, key, value)
        .await?);
    define!(instance, "[method]bucket.delete", |guest,
                                                (bucket, key): (
        Resource<Bucket>,
        String
    )| guest
        .delete(bucket, key)
        .await?);
    define!(instance, "[method]bucket.exists", |guest,
                                                (bucket, key): (
        Resource<Bucket>,
        String
    )| guest
        .exists(bucket, key)
        .await?);
    define!(instance, "[method]bucket.list-keys", |guest,
                                                   (bucket, cursor): (
        Resource<Bucket>,
        Option<String>
    )| guest
        .list_keys(bucket, cursor)
        .await?);
    Ok(())
}

fn swaps(instance: &mut LinkerInstance<'_, Guest>) -> wasmtime::Result<()> {
    instance.resource("cas", ResourceType::host::<Cas>(), |mut store, cas| {
        store.data_mut().table.delete(Resource::<Cas>::new_own(cas))?;
        Ok(())
    })?;
    define!(instance, "[static]cas.new", |guest,
                                          (bucket, key): (
        Resource<Bucket>,
        String
    )| atomics::HostCas::new(
        guest, bucket, key
    )
    .await?);
    define!(
        instance,
        "[method]cas.current",
        |guest, (cas,): (Resource<Cas>,)| guest.current(cas).await?
    );
    define!(instance, "increment", |guest,
                                    (bucket, key, delta): (
        Resource<Bucket>,
        String,
        i64
    )| atomics::Host::increment(
        guest, bucket, key, delta
    )
    .await?);
    define!(
        instance,
        "swap",
        |guest, (cas, value): (Resource<Cas>, Vec<u8>)| atomics::Host::swap(guest, cas, value).await?
    );
    Ok(())
}
