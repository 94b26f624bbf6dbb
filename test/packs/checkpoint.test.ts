// Each call of the timed write of a running pack goes wrong in turn: what of the pack runs again.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, mock } from 'node:test'
import { partial, queueable, TaskQueue } from 'ptq'
import { ManualClock } from 'ptq/testing'
import { open } from '#ptq/backends/fq/index.js'
import { HeldPacks } from '#ptq/poll/held-packs.js'
import { PackLeases } from '#ptq/poll/pack-leases.js'
import { PackUpkeep } from '#ptq/poll/pack-upkeep.js'
import { Leasing } from '#ptq/queue/leasing.js'
import { type Fault, FaultyFiles } from '../crash/faulty-files.js'
import { fastDisk } from '../fq/folder.js'
import { settableClock } from '../fq/test-files.js'

const SIZE = 20

/** Tasks that ended before the first write, and before the second, in which the fault is. */
const FIRST_ENDED = 5
const ENDED = 9

/** More than the time between two writes. */
const WRITE_SECONDS = 6

/** Past all leases. */
const LONG_SECONDS = 7 * 3600

const POLL = { parallel: 0, untilEmpty: true, tally: true, minBackoffSeconds: 0.01, maxBackoffSeconds: 0.01 } as const

let ran: number[] = []

export const noteRepeat = queueable(function noteRepeatOfCheckpoint(n: number) {
  ran.push(n)
})

const numbers = (start: number, end: number) => Array.from({ length: end - start }, (_, n) => start + n)

type FaultKind = Pick<Fault, 'moment' | 'kind'>

interface Run {
  /** The calls of the second write. */
  readonly calls: readonly string[]
  /** Tasks of the pack that ran after the worker was gone. */
  readonly again: readonly number[]
  readonly completed: number
  readonly warnings: number
  /** The lease was reported as lost. */
  readonly isLost: boolean
}

/**
 * @param handedOut so many tasks begin; where some are left, the second write also gives a part of them to idle workers
 * @param repairs the worker writes once more before it dies, without a fault
 */
async function runWith(fault: Fault | undefined, handedOut: number, repairs: boolean): Promise<Run> {
  ran = []
  const folder = mkdtempSync(join(fastDisk, 'ptq-checkpoint-'))
  const path = join(folder, 'queue-of-test')
  const { clock: hostClock, options } = settableClock()
  const queueOf = () => new TaskQueue(`fq://${path}`, { ...options, progress: false })
  await using inserter = queueOf()
  await inserter.insert(
    numbers(0, SIZE).map(n => partial(noteRepeat, n)),
    { pack: SIZE },
  )

  const files = new FaultyFiles(options.fileSystem, fault)
  const victim = await open({ protocol: 'fq', path }, { ...options, fileSystem: files.fileSystem })
  const clock = new ManualClock()
  const held = new HeldPacks()
  let isLost = false
  const unexpected = () => assert.fail('not expected')
  const ends = {
    packEnded: unexpected,
    failed: unexpected,
    settled: unexpected,
    lost: () => {
      isLost = true
    },
  }
  const packs = new PackLeases({ backend: victim, leasing: new Leasing(1), tally: true, clock }, held, ends)
  const upkeep = new PackUpkeep(held, packs, { threads: 1, clock, label: victim.label })
  const plan = { seconds: 60, max: 1, waitSeconds: 0, signal: new AbortController().signal }
  const [message] = await packs.lease(victim, plan)
  assert.ok(message)
  held.open(message, clock.nowMs())
  const calls = await packs.take(handedOut)
  const write = async () => {
    clock.advance(WRITE_SECONDS)
    await upkeep.run()
  }
  for (const call of calls.slice(0, FIRST_ENDED)) packs.complete(call)
  await write()
  for (const call of calls.slice(FIRST_ENDED, ENDED)) packs.complete(call)
  const warned = mock.method(process, 'emitWarning', () => undefined)
  files.arm()
  await write()
  const made = [...files.calls]
  if (repairs) await write()
  const warnings = warned.mock.callCount()
  warned.mock.restore()

  await files.release()
  hostClock.seconds += LONG_SECONDS
  await using after = queueOf()
  await after.poll(POLL)
  assert.equal(await after.enqueued(), 0)
  const { completed = Number.NaN } = await after.status()
  if (fault?.kind !== 'dies') await victim.close()
  rmSync(folder, { recursive: true })
  return { calls: made, again: ran.toSorted((a, b) => a - b), completed, warnings, isLost }
}

const deaths: readonly FaultKind[] = (['before', 'half', 'after'] as const).map(moment => ({ moment, kind: 'dies' }))

const errors: readonly FaultKind[] = [
  { moment: 'before', kind: 'EIO' },
  { moment: 'half', kind: 'ENOSPC' },
  { moment: 'before', kind: 'ESTALE' },
  { moment: 'before', kind: 'EACCES' },
]

/** Runs once for each call of the second write; `check` gets what happened. */
async function atEachCall(
  kinds: readonly FaultKind[],
  { handedOut, repairs }: { handedOut: number; repairs: boolean },
  check: (run: Run) => void,
): Promise<number> {
  const { calls, warnings, again } = await runWith(undefined, handedOut, repairs)
  assert.ok(calls.some(call => call.startsWith('rename ')))
  assert.equal(warnings, 0)
  assert.deepEqual(again, numbers(ENDED, SIZE))
  for (const kind of kinds) {
    for (let at = 1; at <= calls.length; at++) {
      const run = await runWith({ ...kind, at }, handedOut, repairs)
      try {
        check(run)
      } catch (cause) {
        throw new Error(`${kind.kind} ${kind.moment} call ${at}, ${run.calls[at - 1]}: ${String(cause)}`, { cause })
      }
    }
  }
  return calls.length * kinds.length
}

/** Those that had not ended ran; those that ended before the last write did not run again. */
function requireBounded({ again }: Run, mayBeTwice: number): void {
  const unique = [...new Set(again)]
  assert.deepEqual(
    unique.filter(n => n >= ENDED),
    numbers(ENDED, SIZE),
    'nothing is lost',
  )
  assert.deepEqual(
    unique.filter(n => n < FIRST_ENDED),
    [],
    'what ended before the last write is not repeated',
  )
  assert.ok(again.length - unique.length <= mayBeTwice, `${again} has more than ${mayBeTwice} twice`)
}

describe('the timed write of a running pack', () => {
  it('repeats no more than what ended since the one before, if the process dies at any call of it', async t => {
    const seen = new Set<number>()
    const count = await atEachCall(deaths, { handedOut: SIZE, repairs: false }, run => {
      requireBounded(run, 0)
      const repeated = run.again.filter(n => n < ENDED).length
      assert.ok(repeated === 0 || repeated === ENDED - FIRST_ENDED, `${repeated} repeated`)
      seen.add(repeated)
    })
    assert.equal(seen.size, 2, 'deaths before and after the message was replaced')
    t.diagnostic(`${count} deaths`)
  })

  it('is made again after an error of any call of it: then nothing is repeated', async t => {
    const count = await atEachCall(errors, { handedOut: SIZE, repairs: true }, run => {
      assert.equal(run.isLost, false)
      assert.equal(run.warnings, 1)
      assert.deepEqual(run.again, numbers(ENDED, SIZE))
      assert.equal(run.completed, SIZE)
    })
    t.diagnostic(`${count} errors`)
  })

  it('ends the lease at most, if a call that was carried out reports an error', async t => {
    const kinds: readonly FaultKind[] = [{ moment: 'after', kind: 'EIO' }]
    const count = await atEachCall(kinds, { handedOut: SIZE, repairs: true }, run => {
      requireBounded(run, 0)
      // A renamed message that is sought under its old name looks like one that another worker leased.
      if (!run.isLost) assert.deepEqual(run.again, numbers(ENDED, SIZE))
    })
    t.diagnostic(`${count} errors`)
  })

  it('loses nothing if the process dies at any call while idle workers get a part as well', async t => {
    const handedOut = 10
    const count = await atEachCall(deaths, { handedOut, repairs: false }, run => requireBounded(run, SIZE - handedOut))
    t.diagnostic(`${count} deaths`)
  })
})
