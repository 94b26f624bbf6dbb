import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Backend } from '#ptq/backend/backend.js'
import type { Lease } from '#ptq/backend/messages.js'
import { Candidates } from '#ptq/backends/fq/candidates.js'
import type { FileCalls } from '#ptq/backends/fq/file-system.js'
import type { FileQueueOptions } from '#ptq/backends/fq/index.js'
import { IoScheduler } from '#ptq/backends/fq/io-scheduler.js'
import { layoutOf } from '#ptq/backends/fq/layout.js'
import { nameOf, parseName } from '#ptq/backends/fq/names.js'
import { nodeFileSystem } from '#ptq/backends/fq/node-files.js'
import { fastDisk, inFolder, openQueue } from './folder.js'
import { countingNames, drain } from './listings.js'
import { insert, leaseNow, namesIn } from './messages.js'
import { interfered, settableClock, systemError, withCalls } from './test-files.js'

const TASKS = 6_000
const FIRST_TASKS = 3_000

/**
 * Runs `work` on a queue with 6,000 tasks and two workers that have read the same first list and leased a task each.
 */
function inCrowdedQueue(
  work: (parts: { root: string; first: Backend; second: Backend; held: Lease[]; listing: string }) => Promise<void>,
  options: FileQueueOptions = {},
): Promise<void> {
  return inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using first = await openQueue(root, options)
    await using second = await openQueue(root, options)
    // No more than one short list at first: of a longer folder chance decides how much a first reading goes through.
    await insert(first.queue, FIRST_TASKS)
    const held = [...(await leaseNow(first.queue)), ...(await leaseNow(second.queue))]
    await insert(first.queue, TASKS - FIRST_TASKS)
    await work({ root, first: first.queue, second: second.queue, held, listing: join(root, 'listing') })
  }, fastDisk)
}

/** The first leases 2,000 tasks, so that the second fails to rename some and knows of other workers. */
async function makeCrowded(first: Backend, second: Backend): Promise<Lease[]> {
  return [...(await leaseNow(first, 2_000)), ...(await leaseNow(second, 2_000))]
}

test('a new worker uses the published list and does not read the folder', t =>
  inCrowdedQueue(async ({ root, first, second, held, listing }) => {
    held.push(...(await makeCrowded(first, second)))
    const names = readFileSync(listing, 'utf8').split('\n')
    assert.ok(names.length > 1_024 && names.every(name => parseName(name)?.available === 0), `${names.length} names`)
    const { counted, fileSystem } = countingNames()
    await using third = await openQueue(root, { fileSystem })
    // The third starts at a task that is there: skips over those that the second has leased since may pass the part of
    // the list after which a worker looks for the next one.
    const queued = new Set(namesIn(root, 'queue'))
    const start = (names.findIndex(name => queued.has(name)) + 0.5) / names.length
    const { mock } = t.mock.method(Math, 'random', () => start)
    held.push(...(await leaseNow(third.queue)))
    mock.restore()
    assert.equal(counted.names, 0)
    const rest = await drain(third.queue)
    assert.equal(new Set([...held.map(({ id }) => id), ...rest]).size, TASKS)
    assert.equal(held.length + rest.length, TASKS)
  }))

test('skipped names are found before a call returns empty, also if the published list lacks them', () =>
  inFolder(async folder => {
    // Chance decides where the two walk, so several times.
    for (let round = 0; round < 8; round++) {
      const root = join(folder, `queue-of-test-${round}`)
      await using first = await openQueue(root)
      await using second = await openQueue(root)
      await insert(first.queue, 4_000)
      let leased = (await leaseNow(first.queue)).length + (await leaseNow(second.queue)).length
      leased += (await leaseNow(first.queue, 1_500)).length
      leased += (await drain(second.queue, 4_000)).length
      assert.equal(leased, 4_000)
    }
  }, fastDisk))

test('names skipped in the last list are looked for before a call returns empty', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using inserter = await openQueue(root)
    await insert(inserter.queue, 100)
    let races = 0
    // In the first list another worker takes each task that is tried.
    const either = (call: keyof FileCalls, from: string) => {
      if (call !== 'rename' || !from.includes('/queue/0--') || ++races > 7) return
      renameSync(from, from.replace('/0--', '/9999999999--'))
    }
    await using unlucky = await openQueue(root, { fileSystem: interfered({ either }) })
    assert.equal((await leaseNow(unlucky.queue, 1)).length, 1)
  }))

test('names missing from the published list are read again before a call returns empty', async () => {
  const names = (count: number) => Array.from({ length: count }, () => nameOf(0, crypto.randomUUID()))
  const queue = { names: names(1_500) }
  const blocking: FileCalls = {
    ...nodeFileSystem.blocking,
    openFolder() {
      const left = [...queue.names]
      return { read: () => left.splice(0, 1_024), close: () => undefined }
    },
    stat: () => undefined,
    write: () => undefined,
    unlink: () => true,
    rename: () => true,
  }
  const io = new IoScheduler({ ...nodeFileSystem, blocking }, { concurrency: 1, durable: false, label: 'in memory' })
  const candidates = new Candidates(
    io,
    layoutOf('/queue-of-test'),
    () => Date.now() / 1000,
    () => undefined,
  )
  assert.equal(await candidates.fill(), true)
  // All of it is gone, so this worker is in a crowd; then it is back, with far more than one list.
  for (let task = candidates.take(); task !== undefined; task = candidates.take()) candidates.lost(candidates.partition)
  queue.names = [...queue.names, ...names(40_000)]
  const mark = candidates.readingsBegun
  const offered = new Set<string>()
  while (!candidates.readWhollySince(mark)) {
    const task = candidates.take()
    if (task === undefined) await candidates.fill()
    else offered.add(task.name)
  }
  assert.equal(offered.size, 41_500)
})

test('a listing of four million lines that are no names leaves the event loop its turns', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using owner = await openQueue(root)
    await insert(owner.queue, 1)
    const [name = ''] = namesIn(root, 'queue')
    writeFileSync(join(root, 'listing'), `${'\n'.repeat(2 ** 22 - 100)}${name}`)
    let turns = 0
    const counting = setInterval(() => turns++, 0)
    assert.equal((await leaseNow(owner.queue)).length, 1)
    clearInterval(counting)
    assert.ok(turns > 1, `${turns} turns`)
  }))

test('a published name is only a hint: held, delayed, missing and invalid names are skipped', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using owner = await openQueue(root)
    await insert(owner.queue, 20)
    const [held] = await leaseNow(owner.queue)
    await insert(owner.queue, 1, 3600)
    const [there] = namesIn(root, 'queue').filter(name => name.startsWith('0--'))
    assert.ok(held && there)
    const future = namesIn(root, 'queue').filter(name => !name.startsWith('0--'))
    assert.equal(future.length, 2)
    const gone = Array.from({ length: 50 }, () => nameOf(0, crypto.randomUUID()))
    const lines = ['', '../../etc/passwd', 'no name', `${there}/..`, '\0', ...future, ...gone, there, there]
    writeFileSync(join(root, 'listing'), lines.join('\n'))
    await using other = await openQueue(root)
    assert.equal((await drain(other.queue)).length, 19)
    assert.deepEqual(namesIn(root, 'queue'), future)
    assert.deepEqual(await owner.queue.delete([held], { tally: true }), [])
  }))

for (const [what, put] of [
  ['a folder', (path: string) => mkdirSync(path)],
  ['a link', (path: string) => symlinkSync('/etc/passwd', path)],
  ['a link to nothing', (path: string) => symlinkSync('nowhere', path)],
  ['a pipe without a writer', (path: string) => void execFileSync('mkfifo', [path])],
  [
    'a file of 3 GB',
    (path: string) => {
      writeFileSync(path, '')
      truncateSync(path, 3 * 2 ** 30)
    },
  ],
] as const) {
  test(`${what} in place of the listing or of its temporary file stops no worker`, () =>
    inCrowdedQueue(async ({ root, first, second, held, listing }) => {
      put(listing)
      put(join(root, 'staging', 'listing'))
      held.push(...(await makeCrowded(first, second)))
      await using third = await openQueue(root)
      const [ours, others] = await Promise.all([drain(third.queue), drain(second)])
      assert.equal(held.length + ours.length + others.length, TASKS)
    }))
}

test('a worker that died while it read for the others is waited for briefly, then another reads', () => {
  // The clock stands still: a busy machine must not age the reader's lock file.
  const { clock, options } = settableClock(Math.floor(Date.now() / 1000))
  return inCrowdedQueue(async ({ root, first, second, held, listing }) => {
    const begun = join(root, 'staging', 'listing')
    writeFileSync(begun, '')
    utimesSync(begun, clock.seconds, clock.seconds)
    held.push(...(await makeCrowded(first, second)))
    assert.ok(!existsSync(listing), 'nobody writes while another may be reading')
    utimesSync(begun, clock.seconds - 60, clock.seconds - 60)
    held.push(...(await makeCrowded(first, second)))
    assert.ok(existsSync(listing) && !existsSync(begun))
    assert.equal(held.length + (await drain(first)).length + (await drain(second)).length, TASKS)
  }, options)
})

test('each worker reads for itself where no listing can be written', () => {
  const fileSystem = interfered({
    either: (call, path) => {
      if (call === 'write' && path.includes('staging/listing')) throw systemError('ENOSPC', path)
    },
  })
  return inCrowdedQueue(
    async ({ root, first, second, held, listing }) => {
      held.push(...(await makeCrowded(first, second)))
      const [ours, others] = await Promise.all([drain(first), drain(second)])
      assert.equal(held.length + ours.length + others.length, TASKS)
      assert.ok(!existsSync(listing))
      assert.deepEqual(namesIn(root, 'staging'), [])
    },
    { fileSystem },
  )
})

test('workers share listings in a queue that Python created, which has no staging folder', () =>
  inCrowdedQueue(async ({ root, first, second, held, listing }) => {
    rmSync(join(root, 'staging'), { recursive: true })
    held.push(...(await makeCrowded(first, second)))
    assert.ok(existsSync(listing))
    assert.equal(held.length + (await drain(first)).length, TASKS)
  }))

for (const hours of [-1, 1]) {
  test(`a reader whose file time is ${hours} h off is treated as dead`, () =>
    inCrowdedQueue(async ({ root, first, second, held, listing }) => {
      const begun = join(root, 'staging', 'listing')
      writeFileSync(begun, '')
      utimesSync(begun, Date.now() / 1000 + hours * 3600, Date.now() / 1000 + hours * 3600)
      held.push(...(await makeCrowded(first, second)))
      assert.ok(existsSync(listing) && !existsSync(begun))
    }))
}

test('a file linked in place of the listing or of its temporary file is not changed', () =>
  inCrowdedQueue(async ({ root, first, second, held, listing }) => {
    const precious = join(root, '..', 'precious')
    writeFileSync(precious, 'precious')
    linkSync(precious, listing)
    linkSync(precious, join(root, 'staging', 'listing'))
    utimesSync(precious, Date.now() / 1000 - 60, Date.now() / 1000 - 60)
    held.push(...(await makeCrowded(first, second)))
    assert.equal(held.length + (await drain(first)).length + (await drain(second)).length, TASKS)
    assert.ok(lstatSync(listing).size > 100_000)
    assert.equal(readFileSync(precious, 'utf8'), 'precious')
  }))

test('a failed reading for others leaves no file, and ends no call that still has names', () => {
  let isBroken = false
  const fileSystem = interfered({
    either: (call, path) => {
      if (isBroken && call === 'openFolder') throw systemError('EMFILE', path)
    },
  })
  return inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using first = await openQueue(root)
    await using second = await openQueue(root, { fileSystem })
    await insert(first.queue, 3_000)
    const held = await leaseNow(second.queue)
    held.push(...(await leaseNow(first.queue, 1_500)))
    isBroken = true
    const leases = await leaseNow(second.queue, 3_000)
    assert.ok(leases.length > 0)
    assert.deepEqual(namesIn(root, 'staging'), [])
    await assert.rejects(leaseNow(second.queue), /Leasing failed in fq:.*EMFILE/)
    isBroken = false
    assert.equal(held.length + leases.length + (await drain(second.queue)).length, 3_000)
  }, fastDisk)
})

/**
 * Runs `work` with two workers on 3,000 tasks, while a third one reads for all: the mark of a reader is there. The second has
 * leased a task, so it has a list. The clock stands still: a busy machine must not age the mark, nor let a lease expire.
 */
function besideReader(
  either: (call: keyof FileCalls, path: string) => void,
  work: (first: Backend, second: Backend, held: Lease[]) => Promise<void>,
): Promise<void> {
  const { clock, options } = settableClock(Math.floor(Date.now() / 1000))
  return inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    const fileSystem = interfered({ clockMs: options.hostNowMs, either })
    await using first = await openQueue(root, options)
    await using second = await openQueue(root, { ...options, fileSystem })
    await insert(first.queue, 3_000)
    const held = await leaseNow(second.queue)
    const mark = join(root, 'staging', 'listing')
    writeFileSync(mark, '')
    utimesSync(mark, clock.seconds, clock.seconds)
    await work(first.queue, second.queue, held)
  }, fastDisk)
}

const isMark = (path: string) => path.endsWith('/staging/listing')

test('a worker that has leased a task does not wait for a reader', () => {
  /** At the mark of the reader, since the last name was tried. */
  let checks = 0
  return besideReader(
    (call, path) => {
      if (call === 'rename') checks = 0
      else if (call === 'write' && isMark(path)) checks++
    },
    async (first, second, held) => {
      held.push(...(await leaseNow(first, 2_000)))
      held.push(...(await leaseNow(second, 3_000)))
      // A waiting call checks every ten milliseconds, for a quarter of a second.
      assert.ok(held.length > 2_001 && checks < 3, `${checks} checks by a worker with tasks`)
    },
  )
})

test('a worker that waits for a reader stops when it is aborted', () => {
  const stopping = new AbortController()
  let isWaiting = false
  let checks = 0
  return besideReader(
    (call, path) => {
      if (!isWaiting) return
      if (call === 'rename') checks = 0
      else if (call === 'write' && isMark(path)) checks++
      // A machine that is too busy for three checks within a quarter of a second has the worker read for itself.
      if (checks === 3 || call === 'openFolder') stopping.abort()
    },
    async (first, second, held) => {
      held.push(...(await leaseNow(first, 3_000, 3_600)))
      assert.equal(held.length, 3_000)
      isWaiting = true
      const { signal } = stopping
      assert.deepEqual(await second.lease({ seconds: 60, max: 1, waitSeconds: 600, signal }), [])
      assert.ok(signal.aborted)
    },
  )
})

test('an outdated listing is not used', () => {
  const { clock, options } = settableClock(Date.now() / 1000)
  return inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using first = await openQueue(root, options)
    await insert(first.queue, 10)
    let lost = 0
    const gone = Array.from({ length: 2_000 }, () => nameOf(0, crypto.randomUUID()))
    writeFileSync(join(root, 'listing'), gone.join('\n'))
    const fileSystem = withCalls(
      calls => ({
        async rename(from, to) {
          const won = await calls.rename(from, to)
          if (!won) lost++
          return won
        },
      }),
      options.fileSystem,
    )
    clock.seconds += 120
    await using second = await openQueue(root, { ...options, fileSystem })
    assert.equal((await drain(second.queue)).length, 10)
    assert.equal(lost, 0)
  })
})

test('a purge removes the listing, also if a folder is in its place', () =>
  inCrowdedQueue(async ({ first, second, listing }) => {
    await makeCrowded(first, second)
    assert.ok(existsSync(listing))
    await first.purge({ native: false })
    assert.ok(!existsSync(listing))
    assert.deepEqual(await leaseNow(second), [])
    mkdirSync(join(listing, 'folder'), { recursive: true })
    await first.addInserted?.(3)
    await first.purge({ native: false })
    assert.ok(!existsSync(listing))
    assert.equal((await first.counts()).inserted, 0)
  }))
