#!/usr/bin/env node
/**
 * What `ptq` starts: widens libuv's pool of threads before anything has started it, then begins in main.js.
 *
 * Where the files of a queue are slow, over a network, up to `concurrency` operations are in flight, but only as many as
 * this pool has threads, four by default. It is read once, at the first asynchronous operation of the process, and the
 * loader of ES modules has operations of its own: only a CommonJS module comes before.
 */

// As many as a queue has in flight by default.
process.env.UV_THREADPOOL_SIZE ??= '40'

void import('./main.js')
