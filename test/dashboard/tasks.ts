// Tasks of the queues that the tests and the screenshot show.
import { setTimeout as sleep } from 'node:timers/promises'
import { context, queueable } from 'ptq'

/** Takes a while, tells its progress, and fails for some tiles. */
export const render = queueable(
  async function render(path: string, tile: number) {
    const steps = 5
    for (let step = 1; step <= steps; step++) {
      await sleep(40 + (tile % 7) * 25)
      context().progress(step / steps, `row ${step * 64} of ${steps * 64}`)
    }
    if (tile % 29 === 3) throw new Error(`ENOENT: no such file or directory, open '${path}/tile-${tile}.png'`)
    if (tile % 53 === 7) throw new RangeError(`HTTP 503 for tile ${tile}: the server is busy`)
    if (tile % 97 === 11) throw new TypeError('Expected an image of 8 bits, got one of 16')
  },
  { module: 'tiles' },
)

/** Runs until its lease ends or its worker is killed. */
export const linger = queueable(
  async function linger(_name: string) {
    context().progress(0.25, 'waiting')
    await sleep(3_600_000, undefined, { signal: context().signal })
  },
  { module: 'tiles' },
)

/** Takes some milliseconds. */
export const quick = queueable(
  async function quick(_n: number) {
    await sleep(20)
  },
  { module: 'tiles' },
)

/** Fails with the reason that it is given. */
export const fail = queueable(
  function fail(reason: string) {
    throw new Error(reason)
  },
  { module: 'tiles' },
)
