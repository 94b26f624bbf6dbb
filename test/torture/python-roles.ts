/**
 * The roles of Python processes. They are `process.py` if `PTQ_PYTHON` names a Python that has `taskqueue`, and this
 * stand-in otherwise. As in Python, SIGTERM ends them anywhere, and a worker ends with the error of its task.
 */

import { setImmediate, setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { GrammarError, PythonSide, type PythonTask } from '../fq/python-side.js'
import { note } from './ledger.js'
import type { ProcessOptions } from './process-options.js'
import { keyOf, kindAt, kindOf, SLOW_MS } from './tasks.js'

/** As for our workers: a slow task outlasts it. */
const LEASE_SECONDS = 3

const BATCH = 25
const PAUSE_MS = 250
const ENOUGH_TASKS = 1_500

/** Between two file operations, at most: other processes run then, and some are killed there. */
const LONGEST_GAP_MS = 4

const cell = new Int32Array(new SharedArrayBuffer(4))

function sideOf(queue: string): PythonSide {
  const gap = () => {
    Atomics.wait(cell, 0, 0, Math.random() * LONGEST_GAP_MS)
  }
  return new PythonSide(fileURLToPath(queue.replace('fq:', 'file:')), () => Date.now() / 1000, gap)
}

/** Inserts some tasks at a time, in turn into the main queue and the one from which `ptq mv` carries them. */
export async function insertAsPython({ processNumber, queues, ledger }: ProcessOptions): Promise<void> {
  const turns = [
    { url: queues.main, way: 'inserted' },
    { url: queues.transit, way: 'carried' },
  ] as const
  note(ledger, 'python', ['inserter'])
  for (let batch = 0; ; batch++) {
    const { url, way } = turns[batch % turns.length] ?? turns[0]
    const side = sideOf(url)
    const keys = Array.from({ length: BATCH }, (_, at) => {
      const index = batch * BATCH + at
      return keyOf(kindAt(index), way, String(processNumber), index)
    })
    note(ledger, 'intend', keys)
    for (const key of keys) side.store([['tasks', 'leaveTrace'], [key, ledger], {}, -1])
    // Between these lines of the ledger, counts by others may be lost.
    note(ledger, 'counting', [way])
    side.count(keys.length)
    note(ledger, 'counted', [way])
    note(ledger, 'inserted', keys)
    do await setTimeout(PAUSE_MS)
    while (side.enqueued > ENOUGH_TASKS)
  }
}

export async function workAsPython({ queues, ledger }: ProcessOptions): Promise<void> {
  const side = sideOf(queues.main)
  note(ledger, 'python', ['worker'])
  for (;;) {
    const task = lease(side)
    if (task === undefined) {
      await setTimeout(PAUSE_MS)
      continue
    }
    const key = keyOfTask(task)
    const kind = kindOf(key)
    if (kind === 'p') throw new RangeError(`task ${key} fails`)
    if (kind === 'k') {
      note(ledger, 'SIGKILL', ['poison'])
      process.kill(process.pid, 'SIGKILL')
    }
    if (kind === 's') {
      for (let renewal = 0; renewal < 3; renewal++) {
        await setTimeout(SLOW_MS / 4)
        try {
          side.renew(task.id, LEASE_SECONDS)
        } catch (error) {
          // Another worker has finished it, and removed its record.
          if (!isMissing(error)) throw error
        }
      }
      await setTimeout(SLOW_MS / 4)
    }
    note(ledger, 'run', [key])
    side.delete(task.id, { tally: true })
    note(ledger, 'done', [key])
    await setImmediate()
  }
}

function lease(side: PythonSide): PythonTask | undefined {
  try {
    return side.lease(LEASE_SECONDS)
  } catch (error) {
    if (error instanceof GrammarError) throw error
    // Not written yet, or deleted: Python tries another one.
    if (error instanceof SyntaxError || isMissing(error)) return undefined
    throw error
  }
}

function keyOfTask({ payload }: PythonTask): string {
  const [, [key]] = payload as [unknown, [string]]
  return key
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
