// Fetches the chunks that pages are made of. The shell calls one function for each (`src/app/chunks.rs`); `cargo xtask
// build --ui` fills in the chunks' files and adds these functions below.
import { initSync } from "./app.js";

const CHUNKS = {};
const TIMEOUT_MS = 30_000;

const url = (name) => new URL(CHUNKS[name], import.meta.url);

// Puts the functions of a chunk into the shell's table, and tells the shell whether that could be done.
const loader = (name) => async (callback, data) => {
    // The shell runs, or it would not have called; this gives what it exports.
    const shell = initSync();
    let done = false;
    try {
        const answer = fetch(url(name), { signal: AbortSignal.timeout(TIMEOUT_MS) });
        await WebAssembly.instantiateStreaming(answer, { __wasm_split: shell });
        done = true;
    } catch (error) {
        console.warn(`The chunk ${name} cannot be had.`, error);
    }
    shell.__indirect_function_table.get(callback)(data, done);
};

// Begins with the chunk of an address while the shell is still on its way.
export const ahead = (path) => {
    const [section = "map", deeper] = path.split("/").filter(Boolean);
    const name = section === "traces" && deeper ? "trace" : section;
    if (!Object.hasOwn(CHUNKS, name)) return;
    const link = document.createElement("link");
    Object.assign(link, { rel: "preload", as: "fetch", type: "application/wasm", crossOrigin: "anonymous" });
    link.href = url(name);
    document.head.append(link);
};

