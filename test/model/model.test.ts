import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { ManualClock } from 'ptq/testing'
import { open } from '#ptq/backends/fq/index.js'
import { opener } from '#ptq/backends/mem/index.js'
import { fastDisk } from '../fq/folder.js'
import { settableClock } from '../fq/test-files.js'
import { Comparison, type Subject } from './compare.js'
import { steps } from './steps.js'

/** The number of sequences of up to 60 steps; PTQ_MODEL_RUNS=10000 searches longer. */
const RUNS = Number(process.env.PTQ_MODEL_RUNS ?? 200)
// Pooled calls take twenty times as long.
const POOLED_RUNS = RUNS / 10

/** A failure prints the shortest sequence that still fails, and the seed and path that bring it back. */
async function compare(numRuns: number, subject: () => Subject & { remove?(): void }): Promise<void> {
  await fc.assert(
    fc.asyncProperty(steps, async sequence => {
      const queue = subject()
      await new Comparison(queue).play(sequence)
      queue.remove?.()
    }),
    { numRuns },
  )
}

test('mem behaves like the model for any order of steps of several holders', () =>
  compare(RUNS, () => {
    const clock = new ManualClock(1_700_000_000_000)
    const path = randomUUID()
    return {
      open: () => opener.open({ protocol: 'mem', path }, { clock }),
      pass: seconds => clock.advance(seconds),
    }
  }))

for (const [name, numRuns, options] of [
  ['on a fast disk', RUNS, {}],
  ['with calls in flight at once', POOLED_RUNS, { durable: true }],
] as const) {
  test(`fq ${name} behaves like the model for any order of steps of several holders`, () =>
    compare(numRuns, () => {
      const folder = mkdtempSync(join(fastDisk, 'ptq-model-'))
      const path = join(folder, 'queue-of-test')
      const { clock, options: clockOptions } = settableClock()
      return {
        open: () => open({ protocol: 'fq', path }, { ...clockOptions, ...options }),
        pass: seconds => {
          clock.seconds += seconds
        },
        requireClean() {
          for (const part of ['queue', 'movement', 'staging']) assert.deepEqual(readdirSync(join(path, part)), [], part)
        },
        remove: () => rmSync(folder, { recursive: true }),
      }
    }))
}
