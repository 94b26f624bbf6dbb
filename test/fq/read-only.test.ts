import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { LeaseLostError } from 'ptq'
import { inFolder, openQueue } from './folder.js'
import { insert, leaseNow, messages, namesIn } from './messages.js'
import { interfered, systemError } from './test-files.js'

const FOLDERS = ['queue', 'movement', 'staging', '.']

/** Makes a folder read-only while `work` runs: by its mode, or by a mount where root ignores modes. */
async function whileReadOnly(t: TestContext, root: string, work: () => Promise<void>): Promise<void> {
  if (process.getuid?.() !== 0) {
    for (const folder of FOLDERS) chmodSync(join(root, folder), 0o555)
    try {
      await work()
    } finally {
      for (const folder of FOLDERS.toReversed()) chmodSync(join(root, folder), 0o755)
    }
    return
  }
  try {
    execFileSync('mount', ['--bind', root, root], { stdio: 'pipe' })
  } catch (error) {
    t.diagnostic(`Not shown on a read-only folder: root can't mount here (${String(error).split('\n')[0]})`)
    return
  }
  try {
    execFileSync('mount', ['-o', 'remount,bind,ro', root])
    await work()
  } finally {
    execFileSync('umount', [root])
  }
}

test('a read-only queue is counted and listed; verbs that change it throw an error with the path', t =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using opened = await openQueue(root)
    const { queue } = opened
    await insert(queue, 5)
    await insert(queue, 1, 3600)
    const leases = await leaseNow(queue, 2)
    await whileReadOnly(t, root, async () => {
      await using reader = await openQueue(root)
      const { enqueued, leased, delayed } = await reader.queue.counts()
      assert.deepEqual({ enqueued, leased, delayed }, { enqueued: 6, leased: 2, delayed: 1 })
      let listed = 0
      for await (const { body } of reader.queue.list?.() ?? []) listed += body.length > 0 ? 1 : 0
      assert.equal(listed, 6)
      const expected = new RegExp(`(EROFS|EACCES).*${root}`)
      await assert.rejects(leaseNow(reader.queue), expected)
      await assert.rejects(reader.queue.insert(messages(root, 2), { delaySeconds: 0 }), expected)
      await assert.rejects(async () => reader.queue.releaseAll?.(), expected)
      await assert.rejects(async () => reader.queue.addInserted?.(1), expected)
      const failures = await queue.delete(leases, { tally: true })
      assert.equal(failures.length, 2)
      assert.match(failures[0]?.error.message ?? '', expected)
    })
    assert.deepEqual(await queue.delete(leases, { tally: true }), [])
    assert.equal(namesIn(root, 'queue').length, 4)
  }))

test('a reader without write permission uses the newest change of the queue as its clock if the clock of the host is behind it', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using opened = await openQueue(root)
    await insert(opened.queue, 2)
    assert.equal((await leaseNow(opened.queue, 1, 600)).length, 1)
    // Available since this second, which is still in the future by the clock of a host that is behind.
    const [lease] = await leaseNow(opened.queue, 1, 600)
    assert.ok(lease)
    assert.deepEqual(await opened.queue.renew([lease], 0), [])
    const readOnly = interfered({
      clockMs: () => {
        throw systemError('EROFS', root)
      },
    })
    for (const [skewSeconds, leased] of [
      [-3600, 1],
      [0, 1],
      [3600, 0],
    ] as const) {
      const hostNowMs = () => Date.now() + skewSeconds * 1000
      await using reader = await openQueue(root, { fileSystem: readOnly, hostNowMs })
      assert.equal((await reader.queue.counts()).leased, leased, `${skewSeconds} s`)
    }
  }))

/** Runs `work` as a user who may do nothing in `folder`. */
async function lockedOut(folder: string, work: () => Promise<void>): Promise<void> {
  const isRoot = process.getuid?.() === 0
  chmodSync(folder, isRoot ? 0o700 : 0o000)
  // Root ignores file modes, so it becomes the user nobody for a while.
  if (isRoot) process.seteuid?.(65_534)
  try {
    await work()
  } finally {
    if (isRoot) process.seteuid?.(0)
    chmodSync(folder, 0o755)
  }
}

test('a path without permission is refused, also by a queue that is already open; nothing is changed', () =>
  inFolder(async folder => {
    chmodSync(folder, 0o755)
    const home = join(folder, 'home')
    mkdirSync(home)
    const root = join(home, 'queue-of-test')
    await using opened = await openQueue(root)
    const { queue } = opened
    await insert(queue, 2)
    const leases = await leaseNow(queue)
    await lockedOut(home, async () => {
      await assert.rejects(
        openQueue(root),
        /Expected the folder of a queue at .*queue-of-test, but it can't be looked at: .*EACCES/,
      )
      const verbs: (() => Promise<unknown> | undefined)[] = [
        () => queue.counts(),
        () => queue.purge({ native: false }),
        () => leaseNow(queue),
        () => queue.addInserted?.(1),
        () => queue.insert(messages(root, 2), { delaySeconds: 0 }),
      ]
      for (const verb of verbs) await assert.rejects(async () => verb(), /EACCES.*queue-of-test/)
      await assert.rejects(async () => queue.addInserted?.(1), /^Error: Counting inserted tasks failed in fq:/)
      const [failed] = await queue.delete(leases, { tally: true })
      assert.match(failed?.error.message ?? '', /EACCES.*queue-of-test/)
      assert.ok(!(failed?.error instanceof LeaseLostError))
    })
    assert.deepEqual(await queue.delete(leases, { tally: true }), [])
    assert.equal(namesIn(root, 'queue').length, 1)
  }))
