// What a page is measured with, from inside: runs before its own scripts.
window.probe = (() => {
    const probe = { memory: null };
    // The module's memory is no one's global.
    for (const name of ['instantiate', 'instantiateStreaming']) {
        const own = WebAssembly[name];
        WebAssembly[name] = async (...given) => {
            const made = await own.apply(WebAssembly, given);
            probe.memory = (made.instance ?? made).exports.memory ?? probe.memory;
            return made;
        };
    }
    probe.wasmBytes = () => probe.memory?.buffer.byteLength ?? 0;

    // When `ready` holds, does `act`; when then `answered` holds and a frame has gone by, tells when both were, in ms
    // after the navigation began, with the answers of the API that came until then.
    probe.interactive = (ready, act, answered) => new Promise(done => {
        let drawn = null;
        const look = () => {
            if (drawn === null) {
                if (ready()) {
                    drawn = performance.now();
                    act();
                }
            } else if (answered()) {
                requestAnimationFrame(now => done({ drawn, answered: now, answers: probe.answers() }));
                return;
            }
            requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    });

    // What was fetched: path, when it was asked for and there, bytes unpacked.
    probe.answers = () => performance.getEntriesByType('resource').map(entry => ({
        path: new URL(entry.name).pathname, start: entry.startTime, end: entry.responseEnd,
        bytes: entry.decodedBodySize, carried: entry.transferSize,
    }));

    probe.key = (element, key) =>
        element.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));

    // The place of the row that keys act on.
    const cursor = () => Number(document.querySelector('.wf-row.cursor')?.getAttribute('aria-rowindex') ?? 0);

    // A trace is there when its rows are drawn and a key moves the cursor to another one.
    probe.trace = () => {
        let before = 0;
        return probe.interactive(
            () => document.querySelector('.wf-row[data-span].cursor') && document.querySelector('.wf-bars').width > 1,
            () => {
                before = cursor();
                const stage = document.querySelector('.wf-stage');
                stage.focus();
                probe.key(stage, before === 1 ? 'ArrowDown' : 'ArrowUp');
            },
            () => cursor() !== before,
        );
    };

    // The first page is there when the map is drawn and a key opens the list of keys.
    probe.map = () => probe.interactive(
        () => document.querySelector("main[data-page='map'] .map-handler"),
        () => probe.key(document.body, '?'),
        () => document.querySelector('dialog[open]'),
    );

    probe.compare = () => probe.interactive(
        () => document.querySelector("main[data-page='compare'] tr[data-path]"), () => {}, () => true,
    );

    // From what is typed into the search of a trace to the count of what was found, in ms.
    probe.search = text => new Promise(done => {
        const field = document.querySelector('[data-search]');
        const told = field.parentElement.querySelector('[role=status]');
        const began = performance.now();
        field.value = text;
        field.dispatchEvent(new Event('input', { bubbles: true }));
        const look = () => {
            if (/ of |nothing/.test(told.textContent)) {
                requestAnimationFrame(now => done({ ms: now - began, told: told.textContent }));
            } else {
                requestAnimationFrame(look);
            }
        };
        // The old answer is taken away at once.
        setTimeout(look, 30);
    });

    // Notes when each trace of the list is on the screen, against the moment that its id begins with.
    probe.tail = () => {
        const seen = new Map();
        probe.waits = [];
        const note = element => {
            const id = element.dataset?.trace;
            if (id && !seen.has(id)) {
                seen.set(id, true);
                const ended = Number(BigInt(`0x${id.slice(0, 16)}`)) / 1e6;
                requestAnimationFrame(() => probe.waits.push(performance.timeOrigin + performance.now() - ended));
            }
        };
        new MutationObserver(changes => {
            for (const change of changes) {
                note(change.target);
                for (const added of change.addedNodes) {
                    note(added);
                    added.querySelectorAll?.('[data-trace]').forEach(note);
                }
            }
        }).observe(document.body, { subtree: true, childList: true, attributeFilter: ['data-trace'] });
    };

    return probe;
})();
