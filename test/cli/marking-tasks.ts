// Tasks for the workers of the tests; loaded by `--load`.
import { appendFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread } from 'node:worker_threads'
import { context, queueable } from 'ptq'

function note(line: string): void {
  appendFileSync(join(process.env.PTQ_TEST_FOLDER ?? '', 'log'), `${line}\n`)
}

/** Writes down that it ran, with the further arguments of the worker. */
export const mark = queueable(
  function mark(...args: unknown[]) {
    note(args.join())
  },
  { module: 'tasks' },
)

export const fail = queueable(
  function fail(n: number) {
    throw new RangeError(`broken ${n}\u001b[2J`)
  },
  { module: 'tasks' },
)

/** Never ends by itself: V8 can't stop what grows by one large allocation, and aborts the process. */
export const growMap = queueable(
  function growMap() {
    const map = new Map<number, number>()
    for (let n = 0; ; n++) map.set(n, n)
  },
  { module: 'tasks' },
)

/** Resolves when the test has made this file. */
async function fileMade(name: string): Promise<void> {
  while (!existsSync(join(process.env.PTQ_TEST_FOLDER ?? '', name))) await sleep(10)
}

/** Prints in both ways: after the file `go` was made, and before `end` is. */
export const talk = queueable(
  async function talk(n: number) {
    await fileMade('go')
    console.log(`printed ${n}`)
    context().log(`logged ${n}`)
    await fileMade('end')
  },
  { module: 'tasks' },
)

/** Runs until the test makes the file `go`. */
export const linger = queueable(
  async function linger(n: number) {
    note(`began ${n}`)
    context().progress(0.5, 'half way')
    await fileMade('go')
    note(`ended ${n}`)
  },
  { module: 'tasks' },
)

// A handle of a user's module, which must not keep a finished command alive.
setInterval(() => undefined, 3_600_000)

// The worker has already handled its parent's signal: its listener was added first.
if (isMainThread && process.env.PTQ_PROCESS_NUMBER !== undefined) {
  process.on('message', () => appendFileSync(join(process.env.PTQ_TEST_FOLDER ?? '', 'stopped'), 'x'))
}
